import { answered } from "../load/client.ts";
import type { Command, Outcome, Target } from "../load/messages.ts";
import type { Site } from "../site.ts";
import { type Summary, summarise } from "../statistics.ts";

export interface Measured {
  /** Milliseconds of all rounds. */
  all: number[];
  /** Of each round. */
  rounds: Summary[];
  /** Answers a second in each round. */
  rates: number[];
}

/**
 * Measures contenders in turn, A B A B, since the machine is shared and what else it does comes and goes: what lies next to each other
 * in time can be compared. A first round of each is thrown away: code is compiled and connections are opened in it.
 */
export async function inTurn<Name extends string>(
  site: Site,
  rounds: number,
  contenders: Readonly<Record<Name, Command>>,
  note: (line: string) => void,
): Promise<Record<Name, Measured>> {
  const names = Object.keys(contenders) as Name[];
  const measured = Object.fromEntries(names.map((name) => [name, { all: [], rounds: [], rates: [] }])) as unknown as Record<Name, Measured>;
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const outcome = await site.load.run(contenders[name]);
      if (round > 0) add(measured[name], outcome, name);
    }
    if (round > 0) note(`round ${round} of ${rounds}: ${names.map((name) => brief(name, measured[name])).join(", ")}`);
  }
  return measured;
}

function add(to: Measured, outcome: Outcome, name: string): void {
  const latencies = answered(outcome, name);
  for (const latency of latencies) to.all.push(latency);
  to.rounds.push(summarise(latencies));
  to.rates.push((latencies.length / (outcome.endedAt - outcome.startedAt)) * 1000);
}

const brief = (name: string, { rounds, rates }: Measured): string =>
  `${name} p50 ${rounds.at(-1)?.p50.toFixed(2)} ms ${rates.at(-1)?.toFixed(0)}/s`;

/** One client, closed loop. */
export const oneClient = (target: Target, milliseconds: number): Command => ({ do: "closed", target, clients: 1, milliseconds });
