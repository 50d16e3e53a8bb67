/**
 * `make bench` and `make bench-quick`. Ends with 1 when something is much worse than it was, or could not be measured.
 *
 *     [PEERS=knative] node scripts/bench.ts [--quick] [--only ROW]
 */
import { parseArgs } from "node:util";
import { bench } from "../e2e/bench/main.ts";
import { peersFrom } from "../e2e/bench/peers.ts";
import { describeFailure } from "../e2e/cluster/failure.ts";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false }, only: { type: "string" } } });
try {
  const problems = await bench({ quick: values.quick, only: values.only, peers: peersFrom(process.env.PEERS) });
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
} catch (error) {
  console.error(describeFailure(error));
  process.exitCode = 1;
}
