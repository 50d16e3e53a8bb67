/** The ways to send load. */
import { Pool } from "undici";
import type { Command, Outcome } from "./messages.ts";
import { paced } from "./pacer.ts";
import { now, poolFor, preparer, send, Tally } from "./sender.ts";

type Doing<T extends Command["do"]> = Extract<Command, { do: T }>;

/** Does what a command says. */
export function perform(command: Command): Promise<Outcome> {
  switch (command.do) {
    case "closed":
      return closedLoop(command);
    case "open":
      return openLoop(command);
    case "burst":
      return burst(command);
    case "await":
      return awaited(command);
  }
}

async function closedLoop({ target, clients, milliseconds, requests = Number.POSITIVE_INFINITY }: Doing<"closed">): Promise<Outcome> {
  const pool = poolFor(target.origin, clients);
  const prepare = preparer(target);
  const tally = new Tally();
  const end = now() + milliseconds;
  let sent = 0;
  const client = async () => {
    while (now() < end && sent < requests) {
      sent++;
      const prepared = prepare();
      const request = prepared instanceof Promise ? await prepared : prepared;
      await send(pool, request, now(), tally);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return tally.outcome();
}

async function openLoop({ target, perSecond, milliseconds, connections }: Doing<"open">): Promise<Outcome> {
  const pool = poolFor(target.origin, connections);
  const request = await preparer(target)();
  const tally = new Tally();
  const sent: Promise<void>[] = [];
  await paced(Math.round((milliseconds / 1000) * perSecond), 1000 / perSecond, (at) => {
    sent.push(send(pool, request, at, tally));
  });
  await Promise.all(sent);
  return tally.outcome();
}

async function burst({ target, requests }: Doing<"burst">): Promise<Outcome> {
  const pool = poolFor(target.origin, requests);
  // Whatever the answer is: afterwards the connections are open.
  const opening = new Tally();
  const open = { path: "/", method: "GET", headers: {}, body: null } as const;
  await Promise.all(Array.from({ length: requests }, () => send(pool, open, now(), opening)));
  const prepare = preparer(target);
  const prepared = await Promise.all(Array.from({ length: requests }, prepare));
  const tally = new Tally();
  const since = now();
  await Promise.all(prepared.map((request) => send(pool, request, since, tally)));
  return tally.outcome();
}

async function awaited({ target, pauseMs, limitMs }: Doing<"await">): Promise<Outcome> {
  const since = now();
  const tally = new Tally();
  const request = await preparer(target)();
  while (tally.answered === 0 && now() - since < limitMs) {
    const attempt = new Tally();
    const pool = new Pool(target.origin, { connections: 1, connectTimeout: 1_000, headersTimeout: limitMs, bodyTimeout: limitMs });
    await send(pool, request, since, attempt);
    await pool.destroy();
    const { statuses, latencies } = attempt.outcome();
    if (statuses[200]) tally.add(200, (latencies[0] ?? 0) / 1000);
    else await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return tally.outcome();
}
