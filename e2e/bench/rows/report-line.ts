/** What a function's log says of an event. Pure. */

/** Milliseconds of the REPORT line that ends an event's log: the handler's, and the initialisation's where there was one. */
export interface Reported {
  duration: number;
  initDuration: number | undefined;
}

/** Reads the REPORT line of the end of a log; undefined where there is none. */
export function reported(log: string): Reported | undefined {
  const line = log.split("\n").find((one) => one.startsWith("REPORT "));
  const duration = /\tDuration: ([\d.]+) ms/.exec(line ?? "")?.[1];
  if (line === undefined || duration === undefined) return undefined;
  const init = /\tInit Duration: ([\d.]+) ms/.exec(line)?.[1];
  return { duration: Number(duration), initDuration: init === undefined ? undefined : Number(init) };
}
