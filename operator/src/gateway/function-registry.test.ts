import { beforeEach, describe, expect, test } from "vitest";
import type { Alias, Function as FunctionObject, Version } from "../api/types.generated.ts";
import { runnableId } from "../domain/effective.ts";
import { hasVersion, refusalOf, runnableOf, versionOf } from "./function-entry.ts";
import { FunctionRegistry, trimAlias, trimFunction, trimVersion } from "./function-registry.ts";

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
  registry.put(fn({ status: { state: "Active", effective: { ...effective, handler: "other" } } }));
  registry.put(fn({ deleting: true }));
  registry.remove(fn());
  expect(told).toEqual([
    ["team/f", runnableId({ uid: "u1", version: "$LATEST", effective })],
    ["team/f", runnableId({ uid: "u1", version: "$LATEST", effective: { ...effective, handler: "other" } })],
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
  const error = entry && refusalOf(entry, "$LATEST", "arn:f");
  expect([entry?.runnable, error?.code]).toEqual([undefined, code]);
  expect(error?.message).toContain(message);
});

test("what is kept of a function is what is needed to run it", () => {
  const kept = trimFunction({ ...fn(), metadata: { ...fn().metadata, annotations: { big: "x" } } });
  expect(JSON.stringify(kept)).not.toMatch(/a lot of text|big/);
  registry.put(kept);
  expect(registry.find("team", "f")?.runnable?.assignmentId).toBe(runnableId({ uid: "u1", version: "$LATEST", effective }));
});

/** A Version object; one without a number was not published yet. */
function version(number: number | undefined, over: { uid?: string; created?: string; status?: object } = {}): Version {
  const { uid = `v${number}`, created = "2026-01-01T00:00:00Z", status = { state: "Active", effective } } = over;
  const spec = { functionName: "f", ...(number === undefined ? {} : { version: number }), description: "a lot of text" };
  return {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Version",
    metadata: { name: uid, namespace: "team", uid, creationTimestamp: created },
    spec,
    status,
  } as Version;
}

function alias(name: string, functionVersion: string, weights?: Record<string, string>): Alias {
  return {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Alias",
    metadata: { name, namespace: "team", uid: `a-${name}`, creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { functionName: "f", name, functionVersion, ...(weights ? { routingConfig: { additionalVersionWeights: weights } } : {}) },
  } as Alias;
}

const found = () => {
  const entry = registry.find("team", "f");
  if (!entry) throw new Error("there is no such function");
  return entry;
};

describe("a function's versions", () => {
  test("are its own, shown before it or after it", () => {
    registry.putVersion(version(1));
    expect(told).toEqual([]);
    registry.put(fn());
    registry.putVersion(version(2));
    expect([...found().versions.keys()]).toEqual(["1", "2"]);
    expect(versionOf(found().versions.get("2")?.assignmentId ?? "")).toBe("2");
    expect(told).toHaveLength(2);
  });

  test("that cannot be run are known, and refused with their state; those that are not there are not found", () => {
    registry.put(fn());
    registry.putVersion(version(3, { status: { state: "Failed", stateReason: "No package." } }));
    registry.putVersion(version(undefined, { uid: "unnumbered" }));
    expect([hasVersion(found(), "3"), runnableOf(found(), "3"), hasVersion(found(), "4")]).toEqual([true, undefined, false]);
    expect(refusalOf(found(), "3", "arn:f")).toMatchObject({ code: "K104", message: expect.stringContaining("Failed. No package.") });
    expect(refusalOf(found(), "4", "arn:f")).toMatchObject({ code: "K100", message: "Function not found: arn:f:4" });
  });

  test("go when they are deleted, and of two with one number the older counts", () => {
    registry.put(fn());
    registry.putVersion(version(1, { uid: "late", created: "2026-02-01T00:00:00Z", status: {} }));
    registry.putVersion(version(1, { uid: "early" }));
    expect(runnableOf(found(), "1")).toBeDefined();
    registry.removeVersion(version(1, { uid: "early" }));
    expect([runnableOf(found(), "1"), hasVersion(found(), "1")]).toEqual([undefined, true]);
    registry.removeVersion(version(1, { uid: "late" }));
    expect(hasVersion(found(), "1")).toBe(false);
  });

  test("stay the same objects while other things of the function change", () => {
    registry.put(fn());
    registry.putVersion(version(1));
    const before = found().versions.get("1");
    registry.putAlias(alias("PROD", "1"));
    expect(found().versions.get("1")).toBe(before);
  });

  test("are another function's when that takes the name", () => {
    registry.put(fn());
    registry.putVersion(version(1));
    registry.remove(fn());
    registry.put(fn({ uid: "u2" }));
    expect(found().versions.get("1")?.assignmentId).toMatch(/^u2\//);
  });
});

describe("a function's aliases", () => {
  beforeEach(() => {
    registry.put(fn());
    for (const number of [1, 2]) registry.putVersion(version(number));
  });

  test("name one version, or two with a weight", () => {
    registry.putAlias(alias("PROD", "1", { "2": "0.05" }));
    registry.putAlias(alias("DEV", "$LATEST"));
    expect([...found().aliases]).toEqual([
      ["PROD", { version: "1", additional: { version: "2", weight: 0.05 } }],
      ["DEV", { version: "$LATEST" }],
    ]);
    registry.removeAlias(alias("PROD", "1"));
    expect([...found().aliases.keys()]).toEqual(["DEV"]);
  });

  test("that name a version which is still to come stand for what they stood for before", () => {
    registry.putAlias({ ...alias("PROD", "3"), status: { effective: { functionVersion: "2" } } });
    expect(found().aliases.get("PROD")).toEqual({ version: "2" });
    registry.putVersion(version(3));
    expect(found().aliases.get("PROD")).toEqual({ version: "3" });
  });

  test("that have only ever named one that is not there name it", () => {
    registry.putAlias(alias("PROD", "9"));
    expect(found().aliases.get("PROD")).toEqual({ version: "9" });
  });
});

test("what is kept of versions and aliases is what is needed to route and run them", () => {
  const kept = [trimVersion(version(1)), trimAlias({ ...alias("A", "1", { "2": "0.5" }), status: { aliasArn: "a lot of text" } })];
  expect(JSON.stringify(kept)).not.toContain("a lot of text");
  registry.put(fn());
  registry.putVersion(kept[0] as Version);
  registry.putAlias(kept[1] as Alias);
  expect([found().versions.size, found().aliases.get("A")?.additional?.version]).toEqual([1, "2"]);
});

test("the reserved concurrency is what is declared, whatever became of the package that came with it", () => {
  registry.put(
    trimFunction({ ...fn({ status: { state: "Failed" } }), spec: { reservedConcurrentExecutions: 7 } as FunctionObject["spec"] }),
  );
  expect([found().runnable, found().reservedConcurrentExecutions]).toEqual([undefined, 7]);
});
