import { beforeEach, expect, test } from "vitest";
import { createLogger } from "../telemetry/log.ts";
import { type AccessKeySecret, AccessKeys, trimAccessKey } from "./access-keys.ts";
import { signingKey } from "./signature.ts";

let lines: string[];
let keys: AccessKeys;
beforeEach(() => {
  lines = [];
  keys = new AccessKeys(createLogger({ component: "gateway", level: "warn", destination: { write: (line) => void lines.push(line) } }));
});

function secret(over: { name?: string; namespace?: string; at?: string; data?: Record<string, string> } = {}): AccessKeySecret {
  const data = {
    accessKeyId: "AKIAEXAMPLE0000000001",
    secretAccessKey: "a-secret-of-some-length",
    serviceAccountName: "deployer",
    ...over.data,
  };
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kappa.dev/access-key",
    metadata: { name: over.name ?? "key", namespace: over.namespace ?? "team", creationTimestamp: over.at ?? "2026-01-01T00:00:00Z" },
    data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString("base64")])),
  };
}

test("a key stands for its ServiceAccount in its own namespace", () => {
  keys.put(secret());
  expect(keys.get("AKIAEXAMPLE0000000001")?.caller).toEqual({
    id: "system:serviceaccount:team:deployer",
    username: "system:serviceaccount:team:deployer",
    groups: ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"],
    namespace: "team",
  });
});

test("of two Secrets with one id the older counts, whichever was seen first, and it is logged", () => {
  keys.put(secret({ namespace: "thief", at: "2026-02-01T00:00:00Z" }));
  keys.put(secret({ namespace: "team", at: "2026-01-01T00:00:00Z" }));
  expect(keys.get("AKIAEXAMPLE0000000001")?.source).toBe("team/key");
  expect(lines.join()).toContain('"ignored":["thief/key"]');
  expect(lines.join()).not.toContain("a-secret-of-some-length");
  keys.remove(secret({ namespace: "team" }));
  expect(keys.get("AKIAEXAMPLE0000000001")?.source).toBe("thief/key");
});

test("a changed Secret replaces its former key", () => {
  keys.put(secret());
  keys.put(secret({ data: { accessKeyId: "AKIAEXAMPLE0000000002" } }));
  expect(keys.get("AKIAEXAMPLE0000000001")).toBeUndefined();
  expect(keys.get("AKIAEXAMPLE0000000002")).toBeDefined();
  keys.remove(secret());
  expect(keys.get("AKIAEXAMPLE0000000002")).toBeUndefined();
});

test.each([
  ["an id with a slash", { accessKeyId: "AKIA/EXAMPLE00000001" }, "accessKeyId"],
  ["no secret", { secretAccessKey: "" }, "secretAccessKey"],
  ["no ServiceAccount", { serviceAccountName: "" }, "serviceAccountName"],
])("a Secret with %s is no key, and the log says which member", (_, data, member) => {
  keys.put(secret({ data }));
  expect(keys.get("AKIAEXAMPLE0000000001")).toBeUndefined();
  expect(lines.join()).toContain(member);
});

test("the signing key of a day is derived once and kept for two days", () => {
  keys.put(secret());
  const key = keys.get("AKIAEXAMPLE0000000001");
  const first = key?.keys.of("20260101", "us-east-1");
  expect(first).toEqual(signingKey("a-secret-of-some-length", "20260101", "us-east-1"));
  expect(key?.keys.of("20260101", "us-east-1")).toBe(first);
  key?.keys.of("20260102", "us-east-1");
  expect(key?.keys.of("20260101", "us-east-1")).toBe(first);
  key?.keys.of("20260103", "us-east-1");
  expect(key?.keys.of("20260101", "us-east-1")).not.toBe(first);
});

test("of a Secret nothing is kept but the key, however much is in it", () => {
  const large = secret({ data: { notes: "x".repeat(500_000), secretAccessKey: "y".repeat(500_000) } });
  large.metadata.annotations = { note: "z".repeat(200_000) };
  expect(JSON.stringify(trimAccessKey(large)).length).toBeLessThan(1_000);
  keys.put(trimAccessKey(large));
  expect(keys.get("AKIAEXAMPLE0000000001")).toBeUndefined();
  keys.put(trimAccessKey(secret({ data: { notes: "x".repeat(500_000) } })));
  expect(keys.get("AKIAEXAMPLE0000000001")?.caller.namespace).toBe("team");
});
