import { describe, expect, test } from "vitest";
import type { Hello } from "../api/environment-protocol.ts";
import { type AgentVerdict, agentVerdict, type KnownPod, type Proofs } from "./agent-admission.ts";

const waiting: KnownPod = { pooled: true, assignmentId: undefined, confirmed: false, ticketDue: false };
const made: KnownPod = { ...waiting, ticketDue: true };
const taken: KnownPod = { ...waiting, assignmentId: "a" };
const assigned: KnownPod = { ...taken, confirmed: true };
const own: KnownPod = { pooled: false, assignmentId: "a", confirmed: true, ticketDue: false };
const nothing: Proofs = { ticket: false, pass: false };
const ticket: Proofs = { ...nothing, ticket: true };
const pass: Proofs = { ...nothing, pass: true };
const unassigned = { state: "unassigned" } as const;
const holds = (assignmentId: string) => ({ state: "assigned", assignmentId }) as const;

describe("an agent is taken for what it says", () => {
  test.each<[string, KnownPod, Pick<Hello, "state" | "assignmentId">, Proofs, AgentVerdict]>([
    [
      "the first to dial from a new pod gets its ticket, at the gateway that made it",
      made,
      unassigned,
      nothing,
      { admitted: true, giveTicket: true },
    ],
    ["with its ticket it is welcome anywhere", waiting, unassigned, ticket, { admitted: true }],
    ["with its ticket it is welcome where it was taken and never heard of that", taken, unassigned, ticket, { admitted: true }],
    ["with its pass it is what another gateway made of it", waiting, holds("b"), pass, { admitted: true, learned: "b" }],
    [
      "with its pass it is what another gateway made of it, though this one tried",
      taken,
      holds("b"),
      pass,
      { admitted: true, learned: "b" },
    ],
    ["with its pass it is what this gateway made of it", taken, holds("a"), pass, { admitted: true }],
    ["what its pod says needs no pass", assigned, holds("a"), nothing, { admitted: true }],
    ["a pod of a function's own needs no proof", own, unassigned, nothing, { admitted: true }],
    ["a pod of a function's own comes back", own, holds("a"), nothing, { admitted: true }],
  ])("%s", (_, known, hello, proofs, verdict) => {
    expect(agentVerdict(known, hello, proofs)).toEqual(verdict);
  });
});

describe("it is not", () => {
  test.each<[string, KnownPod, Pick<Hello, "state" | "assignmentId">, Proofs]>([
    ["without a ticket at a gateway that did not make the pod, or has given it", waiting, unassigned, nothing],
    ["without a ticket once it was taken", { ...made, assignmentId: "a" }, unassigned, nothing],
    ["without an assignment once it had one, whatever it shows", assigned, unassigned, ticket],
    ["with an assignment and no pass", waiting, holds("a"), nothing],
    ["with an assignment and a ticket", waiting, holds("a"), ticket],
    ["with our assignment, before its pod says so, and no pass", taken, holds("a"), nothing],
    ["with another assignment than its pod's, even with a pass", assigned, holds("b"), pass],
    ["with another assignment than its pod was made for, even with a pass", own, holds("b"), pass],
    ["as one that is assigned and does not say what", waiting, { state: "assigned" }, ticket],
    ["as one that is busy and does not say with what", made, { state: "busy" }, nothing],
  ])("%s", (_, known, hello, proofs) => {
    expect(agentVerdict(known, hello, proofs)).toMatchObject({ admitted: false });
  });
});
