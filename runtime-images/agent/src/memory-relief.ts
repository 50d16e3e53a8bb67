/**
 * Gives the memory of large events back at once. Payloads live outside V8's heap, so the collector sees no need to hurry, and a
 * few events of 6 MB would take the room that the pod leaves for the agent and then the function's.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { LARGE_EVENT_BYTES } from "./limits.ts";

type Collect = (options: { type: "minor" }) => void;

/** V8's collector, also when node was not started with --expose-gc. */
export function exposedCollector(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

/** @returns what to call when an event of this size is over and its answer was handed to the operating system */
export function memoryRelief(collect: Collect): (bytes: number) => void {
  return (bytes) => {
    // Young generation only: that is where the buffers of the event are, and it takes a millisecond.
    if (bytes >= LARGE_EVENT_BYTES) collect({ type: "minor" });
  };
}
