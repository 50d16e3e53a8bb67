import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { KubernetesToken } from "../api/environment-protocol.ts";
import { systemClock } from "../kube/clock.ts";
import { KubeError, NO_ANSWER } from "../kube/errors.ts";
import { createLogger } from "../telemetry/log.ts";
import { RoleTokens } from "./role-tokens.ts";

beforeEach(() => void vi.useFakeTimers({ now: Date.parse("2026-01-01T00:00:00Z") }));
afterEach(() => void vi.useRealTimers());

const MINUTE = 60_000;
const missing = () => new KubeError("no such ServiceAccount", { status: 404, reason: "NotFound" });
const away = () => new KubeError("away", { status: NO_ANSWER, reason: "Timeout" });

function setup() {
  const lines: string[] = [];
  const control = { error: undefined as Error | undefined, seconds: 3600 };
  const asked: { path: string; body: unknown; at: number }[] = [];
  const post = async (path: string, body: unknown) => {
    asked.push({ path, body, at: Date.now() });
    if (control.error) throw control.error;
    const expirationTimestamp = `${new Date(Date.now() + control.seconds * 1000).toISOString().slice(0, 19)}Z`;
    return { status: { token: `token-${asked.length}`, expirationTimestamp } };
  };
  const tokens = new RoleTokens({
    client: { post: post as never, certificateAuthority: async () => "the CA" },
    clock: systemClock,
    random: { uuid: () => "", hex: (digits) => "8".padEnd(digits, "0"), chance: () => 0 },
    log: createLogger({ component: "gateway", level: "info", destination: { write: (line: string) => void lines.push(line) } }),
  });
  const follow = (serviceAccount = "orders", namespace = "team") => {
    const got: KubernetesToken[] = [];
    const end = tokens.follow(namespace, serviceAccount, (token) => got.push(token));
    return { got, end };
  };
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  const warnings = () => lines.filter((line) => JSON.parse(line).level === "warn").map((line) => JSON.parse(line).msg as string);
  return { tokens, follow, pass, asked, control, lines, warnings };
}

test("one token is asked for each role, for the API server, and every environment of the role gets it", async () => {
  const { follow, pass, asked } = setup();
  const [a, b, other] = [follow(), follow(), follow("reports")];
  expect(a.got).toEqual([]);
  await pass(0);
  expect(asked.map(({ path }) => path)).toEqual([
    "/api/v1/namespaces/team/serviceaccounts/orders/token",
    "/api/v1/namespaces/team/serviceaccounts/reports/token",
  ]);
  expect(asked[0]?.body).toMatchObject({ kind: "TokenRequest", spec: { expirationSeconds: 3600 } });
  const token = { token: "token-1", namespace: "team", caCertificate: "the CA" };
  expect([a.got, b.got, other.got[0]?.token]).toEqual([[token], [token], "token-2"]);
});

test("who comes later gets it at once, and nobody is asked", async () => {
  const { follow, pass, asked } = setup();
  follow();
  await pass(10 * MINUTE);
  expect(follow().got).toHaveLength(1);
  expect(asked).toHaveLength(1);
});

test("it is renewed when four fifths of its life are over, a little earlier by chance, and everybody gets the new one", async () => {
  const { follow, pass, asked } = setup();
  const { got } = follow();
  await pass(60 * MINUTE * 0.8 * 0.95 - 1000);
  expect(asked).toHaveLength(1);
  await pass(2000);
  expect(got.map(({ token }) => token)).toEqual(["token-1", "token-2"]);
});

test("an API server that gives shorter ones is asked more often", async () => {
  const { follow, pass, asked, control } = setup();
  control.seconds = 600;
  follow();
  await pass(60 * MINUTE);
  expect(asked.length).toBeGreaterThanOrEqual(7);
  expect(asked.length).toBeLessThanOrEqual(9);
});

test.each([
  ["an hour ahead", -3600],
  ["an hour behind", 2 * 3600],
])("with a clock that is %s nobody is asked in a loop, nor too late", async (_, seconds) => {
  const { follow, pass, asked, control } = setup();
  control.seconds = seconds;
  follow();
  await pass(60 * MINUTE);
  expect(asked.length).toBeGreaterThanOrEqual(2);
  expect(asked.length).toBeLessThan(100);
});

test("it is not renewed for nobody, and is asked for again when somebody needs it", async () => {
  const { follow, pass, asked } = setup();
  follow().end();
  await pass(3 * 60 * MINUTE);
  expect(asked).toHaveLength(1);
  const { got } = follow();
  await pass(0);
  expect(got.map(({ token }) => token)).toEqual(["token-2"]);
});

test("who has gone gets nothing more", async () => {
  const { follow, pass } = setup();
  const [gone, stays] = [follow(), follow()];
  await pass(0);
  gone.end();
  await pass(60 * MINUTE);
  expect([gone.got.length, stays.got.length]).toEqual([1, 2]);
});

test("a ServiceAccount that does not exist is told of once, looked for less and less often, and used when it is there", async () => {
  const { follow, pass, asked, control, warnings, lines } = setup();
  control.error = missing();
  const { got } = follow();
  await pass(30 * MINUTE);
  expect(warnings()).toEqual([
    "the ServiceAccount of a function's role does not exist: the function runs without a Kubernetes token until it does",
  ]);
  expect(asked.length).toBeGreaterThan(20);
  expect(asked.length).toBeLessThan(60);
  control.error = undefined;
  await pass(MINUTE);
  expect(got).toHaveLength(1);
  expect(lines.at(-1)).toContain("there again");
});

test("while the API server is away the old token is what newcomers get, as long as it is good", async () => {
  const { follow, pass, control, warnings } = setup();
  follow();
  await pass(0);
  control.error = away();
  await pass(59 * MINUTE);
  expect(follow().got.map(({ token }) => token)).toEqual(["token-1"]);
  await pass(2 * MINUTE);
  expect(follow().got).toEqual([]);
  expect(warnings()).toEqual(["the token of a role cannot be fetched; trying again"]);
});

test("an answer that is none counts as a failure", async () => {
  const { tokens, pass, warnings } = setup();
  const bad = new RoleTokens({
    client: { post: (async () => ({ status: {} })) as never, certificateAuthority: async () => "" },
    clock: systemClock,
    random: { uuid: () => "", hex: () => "0", chance: () => 0 },
    log: createLogger({ component: "gateway", level: "silent" }),
  });
  const got: KubernetesToken[] = [];
  bad.follow("team", "orders", (token) => got.push(token));
  await pass(MINUTE);
  bad.stop();
  tokens.stop();
  expect([got, warnings()]).toEqual([[], []]);
});

test("nothing is asked for any more after the end", async () => {
  const { tokens, follow, pass, asked } = setup();
  follow();
  await pass(0);
  tokens.stop();
  await pass(3 * 60 * MINUTE);
  expect(asked).toHaveLength(1);
});
