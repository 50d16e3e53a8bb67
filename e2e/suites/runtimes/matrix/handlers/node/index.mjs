// The function of every cell, as a user of Lambda writes one.
import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const STARTS = "/tmp/starts";
const note = (what) => appendFileSync(STARTS, `${what}\n`);

if (process.env.INIT === "fail") throw new RangeError("no such luck");
if (process.env.INIT === "slow") {
  note("begun");
  await sleep(11_000);
  note("done");
}

export async function handler(event, context) {
  switch (event?.kind) {
    case "error":
      throw new RangeError("no such luck");
    case "sleep":
      await sleep(event.ms);
      return event;
    case "large":
      return "x".repeat(event.size - 2);
    case "exit":
      return process.exit(3);
    case "crash":
      process.kill(process.pid, "SIGSEGV");
      return await sleep(60_000);
    case "unserialisable":
      return { number: 1n };
    case "deadline": {
      const first = context.getRemainingTimeInMillis();
      await sleep(100);
      return [first, context.getRemainingTimeInMillis()];
    }
    case "context":
      return { custom: context.clientContext.custom, client: context.clientContext.client.app_title };
    case "trace":
      return process.env._X_AMZN_TRACE_ID;
    case "warm":
      return { n: event.n, stream: context.logStreamName };
    case "starts":
      return readFileSync(STARTS, "utf8").trim().split("\n");
    default:
      return event;
  }
}
