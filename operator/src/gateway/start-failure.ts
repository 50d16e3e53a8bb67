/** Why an environment did not start, in the words of those who hear of it. Pure. */
import { FrameType } from "../api/environment-protocol.ts";
import type { ReceivedFrame } from "./agent-server.ts";
import type { InitFailure, StartFailure } from "./environment-facts.ts";
import type { EnvironmentEffect } from "./environment-state.ts";
import type { Overuse } from "./pod.ts";

type Why = Extract<EnvironmentEffect, { type: "startFailed" }>["why"];

/**
 * @param seen `overuse`: what it ended of, if its function can have done that; `frame`: of the agent that reported it; `obstacle`: what
 *   keeps its pod from starting
 */
export function startFailureOf(
  why: Why,
  { overuse, frame, obstacle }: { overuse: Overuse | undefined; frame: ReceivedFrame | undefined; obstacle: string | undefined },
): StartFailure {
  if (why === "ended" && overuse) return { why: "overuse", overuse };
  if (why === "assignment" && frame?.type === FrameType.assignmentFailed) {
    const { errorType, message } = frame.header;
    return { why: "package", errorType, message };
  }
  return { why: why === "assignment" ? "failed" : why, detail: obstacle ?? NO_DETAIL[why] };
}

/** For a person who looks at what has been declared. */
export function initFailureOf(failure: StartFailure): InitFailure {
  switch (failure.why) {
    case "package":
      return { reason: "PackageFailed", message: `${failure.errorType}: ${failure.message}` };
    case "overuse":
      return { reason: "Overuse", message: failure.overuse.of === "memory" ? "It used more memory than it has." : "Its /tmp is full." };
    case "refused":
      return { reason: "Refused", message: "Its agent has another assignment." };
    default:
      return { reason: "StartFailed", message: failure.detail };
  }
}

const NO_DETAIL = {
  timeout: "its agent did not connect in time",
  ended: "its pod ended before it could take an event",
  failed: "its agent reported a failure",
  assignment: "its agent reported a failure",
} as const;
