import { Worker } from "node:worker_threads";

/**
 * Sleeps in a thread of its own, by a futex, which is exact to some hundredths of a millisecond. Node's timers are a millisecond
 * late, and waiting for the clock in a loop would take a core from what is measured.
 */
const SLEEPER = `
const { parentPort, workerData: { every, count } } = require("node:worker_threads");
const cell = new Int32Array(new SharedArrayBuffer(4));
const now = () => Number(process.hrtime.bigint()) / 1e6;
// Not before the thread runs, and its own code has run once.
const start = now() + 50;
for (let i = 0; i < count; i++) {
  const left = start + i * every - now();
  if (left > 0) Atomics.wait(cell, 0, 0, left);
  parentPort.postMessage(start + i * every);
}`;

/**
 * Calls `due` so many times, `every` milliseconds apart, with the moment at which the call was due on the sender's clock. Resolves after
 * the last one.
 */
export function paced(count: number, every: number, due: (at: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(SLEEPER, { eval: true, workerData: { every, count } });
    worker.on("message", due);
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
}
