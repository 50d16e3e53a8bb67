import { KappaError } from "../domain/errors.ts";
import type { Clock } from "../kube/clock.ts";
import type { FunctionMetrics, GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Environment, StartFailure } from "./environment.ts";
import type { Lane, LaneHost } from "./lane.ts";
import { failureBody, overused } from "./platform-errors.ts";

/** Whose environment it was. */
interface FailedIn {
  lane: Lane;
  host: Pick<LaneHost, "refuse" | "release">;
  deps: { clock: Clock; log: Logger; metrics: GatewayMetrics };
  metrics: FunctionMetrics;
}

/** An environment did not come to its first event: one of the callers that wait hears of it where it is the function's own doing. */
export function tellFailedStart(environment: Environment, failure: StartFailure, { lane, host, deps, metrics }: FailedIn): void {
  const { log, clock } = deps;
  const where = { pod: environment.key, node: environment.nodeName, version: lane.version };
  switch (failure.why) {
    case "overuse": {
      deps.metrics.environmentFailed("init");
      const invocation = lane.nextWaiting();
      if (!invocation) return;
      host.release(invocation);
      const memoryMb = environment.runnable?.effective.memorySize ?? 0;
      metrics.finished({ durationMs: 0, billedMs: 0, memoryMb, functionError: true });
      invocation.finish({ type: "functionError", body: failureBody(overused(invocation.requestId, failure.overuse)) });
      return;
    }
    case "package": {
      deps.metrics.environmentFailed("package");
      log.error({ ...where, errorType: failure.errorType, problem: failure.message }, "an environment could not unpack its package");
      const invocation = lane.nextWaiting();
      const code = failure.errorType === "InvalidZipFileException" ? "K107" : "K106";
      if (invocation) host.refuse(invocation, new KappaError(code, failure.message));
      return;
    }
    case "refused":
      log.warn(where, "an agent refused its assignment: it has another one, or knows of a later owner");
      return;
    default:
      deps.metrics.environmentFailed(failure.why === "timeout" ? "startTimeout" : "podFailed");
      log.error({ ...where, why: failure.why, detail: failure.detail }, "an environment did not start");
      lane.countFailure(
        environment.wantedSince ?? clock.monotonic(),
        new KappaError("K106", `No execution environment could be started: ${failure.detail}. Retry the request.`),
      );
  }
}
