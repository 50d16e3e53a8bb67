import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { KappaError } from "../domain/errors.ts";
import { systemClock } from "../kube/clock.ts";
import { KubeError, NO_ANSWER } from "../kube/errors.ts";
import type { ObjectRef, ResourceRef } from "../kube/objects.ts";
import type { Pod } from "./pod.ts";
import { systemRandom } from "./random.ts";
import { RoleSessions } from "./role-sessions.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const HOUR = 3_600_000;
const environment = { namespace: "team", podName: "f-1", podUid: "uid-1" };
const podOf = (over: Partial<Pod> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "f-1", namespace: "team", uid: "uid-1" },
  status: { phase: "Running" },
  ...over,
});

/** @param answer of the API server, each time it is asked */
function setup(answer: () => Pod | undefined | Error = () => podOf()) {
  const table = new Set<string>([environment.podUid]);
  const asked: ObjectRef[] = [];
  const get = async (_: ResourceRef, ref: ObjectRef) => {
    asked.push(ref);
    const found = answer();
    if (found instanceof Error) throw found;
    return found;
  };
  const roles = new RoleSessions({
    secret: "secret",
    hasPod: ({ podUid }) => table.has(podUid),
    client: { get: get as never },
    clock: systemClock,
    random: systemRandom,
  });
  const issued = roles.issue(environment, "orders");
  return { roles, issued, table, asked, key: () => roles.key(issued.sessionToken, issued.accessKeyId) };
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof KappaError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "accepted";
}
const EXPIRED = "K117 The security token included in the request is expired";
const INVALID = "K109 The security token included in the request is invalid.";

test("credentials stand for the ServiceAccount, and nobody is asked while its environment is in the table", () => {
  const { key, roles, asked } = setup();
  expect(key().caller).toMatchObject({ username: "system:serviceaccount:team:orders", namespace: "team" });
  expect(roles.checkLives(key())).toBeUndefined();
  expect(asked).toEqual([]);
});

test("keys of a token are derived once", () => {
  const { key } = setup();
  expect(key()).toBe(key());
});

test("they are good for twelve hours", () => {
  const { key } = setup();
  vi.advanceTimersByTime(12 * HOUR - 1);
  expect(codeOf(key)).toBe("accepted");
  vi.advanceTimersByTime(1);
  expect(codeOf(key)).toBe(EXPIRED);
  expect(codeOf(key)).toBe(EXPIRED);
});

test("a token that no gateway made, and one with another's access key id, are not known", () => {
  const { roles, issued, key } = setup();
  key();
  const other = roles.issue(environment, "orders");
  expect(codeOf(() => roles.key("nonsense", issued.accessKeyId))).toBe(INVALID);
  expect(codeOf(() => roles.key(issued.sessionToken, other.accessKeyId))).toBe(INVALID);
});

test("a gateway that has not seen the pod yet asks once, and believes what it hears for a while", async () => {
  const { roles, key, table, asked } = setup();
  table.clear();
  await Promise.all([roles.checkLives(key()), roles.checkLives(key())]);
  expect(roles.checkLives(key())).toBeUndefined();
  expect(asked).toEqual([{ namespace: "team", name: "f-1" }]);
});

test.each<[string, () => Pod | undefined | Error]>([
  ["is gone", () => undefined],
  ["is another one of the same name", () => podOf({ metadata: { name: "f-1", namespace: "team", uid: "uid-2" } })],
  ["has ended", () => podOf({ status: { phase: "Failed" } })],
  ["is in a namespace that is no account any more", () => new KubeError("no", { status: 403, reason: "Forbidden" })],
])("credentials of an environment whose pod %s are expired, and that is not asked again", async (_, answer) => {
  const { roles, key, table, asked } = setup(answer);
  table.clear();
  await expect(roles.checkLives(key())).rejects.toThrow("is expired");
  vi.advanceTimersByTime(HOUR / 2);
  expect(codeOf(() => roles.checkLives(key()))).toBe(EXPIRED);
  expect(asked).toHaveLength(1);
});

test("an environment that is being deleted still ends its event, with its credentials", async () => {
  const { roles, key, table } = setup(() =>
    podOf({ metadata: { name: "f-1", namespace: "team", uid: "uid-1", deletionTimestamp: "2026-01-01T00:00:00Z" } }),
  );
  table.clear();
  await expect(roles.checkLives(key())).resolves.toBeUndefined();
});

test("while the API server is away a pod that is not in the table is neither believed nor denied: the caller tries again", async () => {
  const { roles, key, table } = setup(() => new KubeError("away", { status: NO_ANSWER, reason: "Timeout" }));
  table.clear();
  await expect(roles.checkLives(key())).rejects.toMatchObject({ code: "K106" });
  table.add(environment.podUid);
  expect(roles.checkLives(key())).toBeUndefined();
});
