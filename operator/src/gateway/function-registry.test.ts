import { beforeEach, expect, test } from "vitest";
import type { Function as FunctionObject } from "../api/types.generated.ts";
import { FunctionRegistry, refusalOf, trimFunction } from "./function-registry.ts";

const effective = { revisionId: "r1", packageSha256: "p" } as unknown as NonNullable<NonNullable<FunctionObject["status"]>["effective"]>;

function fn(
  over: { name?: string; uid?: string; created?: string; functionName?: string; status?: object; deleting?: boolean } = {},
): FunctionObject {
  const { name = "f", uid = "u1", created = "2026-01-01T00:00:00Z", functionName, status = { state: "Active", effective } } = over;
  return {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name, namespace: "team", uid, creationTimestamp: created, ...(over.deleting ? { deletionTimestamp: created } : {}) },
    spec: { ...(functionName === undefined ? {} : { functionName }), code: { inline: "a lot of text" } },
    status,
  } as unknown as FunctionObject;
}

let registry: FunctionRegistry;
let told: [string, string | undefined][];
beforeEach(() => {
  registry = new FunctionRegistry();
  told = [];
  registry.subscribe((key, entry) => told.push([key, entry?.runnable?.assignmentId]));
});

test("a function is found by Lambda's name", () => {
  registry.put(fn({ name: "myfn-test-1a2b3c4d", functionName: "MyFn_Test" }));
  expect(registry.find("team", "MyFn_Test")?.name).toBe("myfn-test-1a2b3c4d");
  expect(registry.find("team", "myfn-test-1a2b3c4d")).toBeUndefined();
  expect(registry.find("other", "MyFn_Test")).toBeUndefined();
});

test("of two Functions with one name the older counts, and the other when that is gone", () => {
  registry.put(fn({ name: "b", uid: "u2", created: "2026-02-01T00:00:00Z", functionName: "same" }));
  registry.put(fn({ name: "a", uid: "u1", functionName: "same" }));
  expect([registry.find("team", "same")?.uid, registry.byUid("u2")]).toEqual(["u1", undefined]);
  registry.remove(fn({ name: "a", uid: "u1", functionName: "same" }));
  expect([registry.find("team", "same")?.uid, registry.byUid("u2")?.uid]).toEqual(["u2", "u2"]);
});

test("listeners hear of changes, and of a deletion as soon as it begins", () => {
  registry.put(fn());
  registry.put(fn({ status: { state: "Active", effective: { ...effective, revisionId: "r2" } } }));
  registry.put(fn({ deleting: true }));
  registry.remove(fn());
  expect(told).toEqual([
    ["team/f", "u1/$LATEST/r1"],
    ["team/f", "u1/$LATEST/r2"],
    ["team/f", undefined],
  ]);
});

test.each([
  [
    "is being created",
    { state: "Pending", stateReasonCode: "Creating" },
    "K104",
    "The operation cannot be performed at this time. The function is currently in the following state: Pending",
  ],
  ["was not seen by its controller yet", {}, "K104", "in the following state: Pending"],
  ["failed", { state: "Failed", stateReason: "Because." }, "K104", "in the following state: Failed. Because."],
  ["has a bad package", { state: "Failed", stateReason: "No end.", stateReasonCode: "InvalidZipFileException" }, "K107", "No end."],
])("a function that %s is refused in Lambda's words", (_, status, code, message) => {
  registry.put(fn({ status }));
  const entry = registry.find("team", "f");
  const error = entry && refusalOf(entry);
  expect([entry?.runnable, error?.code]).toEqual([undefined, code]);
  expect(error?.message).toContain(message);
});

test("what is kept of a function is what is needed to run it", () => {
  const kept = trimFunction({ ...fn(), metadata: { ...fn().metadata, annotations: { big: "x" } } });
  expect(JSON.stringify(kept)).not.toMatch(/a lot of text|big/);
  registry.put(kept);
  expect(registry.find("team", "f")?.runnable?.assignmentId).toBe("u1/$LATEST/r1");
});
