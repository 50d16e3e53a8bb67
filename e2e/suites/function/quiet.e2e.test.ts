/** Idle functions cost the API server nothing: no write by Kappa's identities but its Leases, by the API server's own audit log. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { kappaRequests } from "../support/audit.ts";
import { applyAndWait, deleteFunctions, FULL, pythonFunction } from "../support/cluster.ts";

const COUNT = 100;
const QUIET_MS = FULL ? 300_000 : 60_000;
const names = Array.from({ length: COUNT }, (_, i) => `e2e-idle-${i}`);

beforeAll(() => applyAndWait(...names.map((n) => pythonFunction(n, "def handler(event, context):\n    return event\n"))));
afterAll(() => deleteFunctions(...names));

test(`${COUNT} idle functions: in ${QUIET_MS / 1000} s no write by Kappa's identities but Leases`, {
  timeout: QUIET_MS + 240_000,
}, async () => {
  await new Promise((r) => setTimeout(r, 15_000)); // what the functions' creation itself started may finish first
  const since = Date.now();
  await new Promise((r) => setTimeout(r, QUIET_MS));
  const events = await kappaRequests(since, Date.now());
  const leases = events.filter((e) => e.objectRef?.resource === "leases");
  const writes = events.filter((e) => e.writes && e.objectRef?.resource !== "leases");
  // The log is really looked at: the leader renewed its Lease in that time.
  expect(leases.length).toBeGreaterThan(0);
  expect(writes.map((e) => `${e.user.username} ${e.verb} ${e.objectRef?.resource}/${e.objectRef?.name}`)).toEqual([]);
});
