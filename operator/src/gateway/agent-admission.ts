/** Whether an agent that dials is who it says, as a pure rule. Its token was good, so it comes from its pod; but so may user code. */
import type { Hello } from "../api/environment-protocol.ts";

/** What is known of the pod that an agent dials from. */
export interface KnownPod {
  /** It was made for a pool. */
  pooled: boolean;
  assignmentId: string | undefined;
  /** The agent has had this assignment: its pod was made for it, or says so, or the agent did. */
  confirmed: boolean;
  /** This gateway made the pod, and nobody has been given its ticket. */
  ticketDue: boolean;
}

/** What an agent showed of what it claims. */
export interface Proofs {
  ticket: boolean;
  pass: boolean;
}

export type AgentVerdict =
  | { admitted: true; giveTicket?: true /** Another gateway has assigned it. */; learned?: string }
  | { admitted: false; why: string };

export function agentVerdict(known: KnownPod, hello: Pick<Hello, "state" | "assignmentId">, proofs: Proofs): AgentVerdict {
  const { state, assignmentId } = hello;
  if (assignmentId !== undefined) return ofAssigned(known, assignmentId, proofs);
  // A pod of a function's own can be given that one's assignment only, whoever asks in it.
  if (!known.pooled) return { admitted: true };
  if (state === "assigned" || state === "busy") return { admitted: false, why: "an agent with an assignment says which" };
  // From its first event on user code runs there, and has everything but what the agent erased before.
  if (known.confirmed) return { admitted: false, why: "the pod has an assignment" };
  if (proofs.ticket) return { admitted: true };
  if (known.ticketDue && known.assignmentId === undefined) return { admitted: true, giveTicket: true };
  return { admitted: false, why: "an agent of a pool shows its ticket" };
}

function ofAssigned(known: KnownPod, assignmentId: string, proofs: Proofs): AgentVerdict {
  if (known.assignmentId === assignmentId && (known.confirmed || proofs.pass)) return { admitted: true };
  if (known.pooled && !known.confirmed && proofs.pass) return { admitted: true, learned: assignmentId };
  return { admitted: false, why: "the pod was given another assignment" };
}
