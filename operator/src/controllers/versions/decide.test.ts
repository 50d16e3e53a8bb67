import { describe, expect, test } from "vitest";
import type { Function as LambdaFunction, Version, VersionSpec, VersionStatus } from "../../api/types.generated.ts";
import { effectiveConfiguration } from "../../domain/effective.ts";
import {
  decideObstructedVersion,
  decidePublication,
  decidePublished,
  decideUnpublished,
  decideWithoutNumber,
  findVersionObstacle,
  type VersionDecision,
  type VersionView,
} from "./decide.ts";
import { frozenFrom } from "./published.ts";

const NOW = Date.parse("2026-01-31T12:00:00.000Z");
const clock = { now: () => NOW };
const later = { now: () => NOW + 3_600_000 };
const SHA = "a".repeat(64);

function fn(special: { spec?: Partial<LambdaFunction["spec"]>; generation?: number; ready?: object; sha?: string } = {}): LambdaFunction {
  const generation = special.generation ?? 1;
  const bare: LambdaFunction = {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name: "hello", namespace: "team", uid: "u-fn", generation },
    spec: {
      runtime: "python3.11",
      handler: "index.handler",
      code: { inline: "x" },
      memorySize: 128,
      timeout: 3,
      ephemeralStorage: { size: 512 },
      role: "default",
      architectures: ["x86_64"],
      loggingConfig: { logFormat: "Text" },
      tracingConfig: { mode: "PassThrough" },
      environment: { variables: { STAGE: "1" } },
      tags: {},
      ...special.spec,
    },
  };
  const condition = {
    type: "Ready",
    status: "True" as const,
    reason: "Active",
    message: "",
    observedGeneration: generation,
    lastTransitionTime: "",
  };
  const effective = effectiveConfiguration(bare, { sha256: special.sha ?? SHA, size: 12 });
  return { ...bare, status: { state: "Active", effective, conditions: [{ ...condition, ...special.ready }] } };
}
const version = (
  spec: Partial<VersionSpec> = {},
  special: { status?: VersionStatus; metadata?: Partial<Version["metadata"]> } = {},
): Version => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Version",
  metadata: { name: "v", namespace: "team", uid: "u-v", generation: 1, ...special.metadata },
  spec: { functionName: "hello", ...spec },
  ...(special.status === undefined ? {} : { status: special.status }),
});
function frozen(of = fn()) {
  if (of.status?.effective === undefined) throw new Error("it is in force");
  return frozenFrom(of, of.status.effective);
}
const published = (number: number, spec: Partial<VersionSpec> = {}, special: Parameters<typeof version>[1] = {}) =>
  version({ ...frozen(), version: number, ...spec }, special);
const view = (of: Version, special: Partial<VersionView> = {}): VersionView => ({
  version: of,
  account: { enabled: true, accountId: "123456789012" },
  fn: fn(),
  region: "us-east-1",
  runtimes: ["python3.11"],
  ...special,
});
const readyOf = ({ status }: VersionDecision) => status?.conditions?.[0];
const owned = (uid: string) => ({
  ownerReferences: [{ apiVersion: "kappa.dev/v1alpha1", kind: "Function", name: "hello", uid }],
});
/** A view without function: `exactOptionalPropertyTypes` tells an absent one from an undefined one. */
const alone = (of: Version): VersionView => {
  const { fn: _, ...rest } = view(of);
  return rest;
};

describe("a version without a number", () => {
  test("is published with what is in force of its function", () => {
    expect(decidePublication(view(version()))).toMatchObject({
      kind: "publish",
      frozen: {
        code: { package: { sha256: SHA, size: 12 } },
        runtime: "python3.11",
        memorySize: 128,
        environment: { variables: { STAGE: "1" } },
      },
    });
  });

  test("freezes no empty environment, and everything else that the function has", () => {
    const config = { environment: { variables: {} }, deadLetterConfig: { targetArn: "queue:dead" }, description: "d" };
    const decided = decidePublication(view(version(), { fn: fn({ spec: config }) }));
    if (decided.kind !== "publish") throw new Error("it is published");
    expect(decided.frozen).not.toHaveProperty("environment");
    expect(decided.frozen).toMatchObject({ deadLetterConfig: { targetArn: "queue:dead" }, description: "d" });
  });

  test.each<[string, VersionView, string]>([
    ["its namespace is no account", view(version(), { account: { enabled: false } }), "NamespaceNotEnabled"],
    ["there is no function", alone(version()), "FunctionNotFound"],
    [
      "an update of the function is in progress",
      view(version(), { fn: fn({ generation: 2, ready: { observedGeneration: 1 } }) }),
      "FunctionNotReady",
    ],
    [
      "the last update of the function failed",
      view(version(), { fn: fn({ ready: { status: "False", message: "Bad zip." } }) }),
      "FunctionNotReady",
    ],
    ["the code is not what publishIf names", view(version({ publishIf: { codeSha256: "other" } })), "PreconditionFailed"],
    ["the revision is not what publishIf names", view(version({ publishIf: { revisionId: "other" } })), "PreconditionFailed"],
  ])("waits while %s", (_, of, reason) => {
    const decided = decidePublication(of);
    expect(decided).toMatchObject({ kind: "wait", reason });
    if (decided.kind !== "wait") throw new Error("it waits");
    const { status } = decideUnpublished(of, decided, clock);
    expect(status).toEqual({ observedGeneration: 1, conditions: [expect.objectContaining({ type: "Ready", status: "False", reason })] });
  });

  test("says what the function says when its update failed", () => {
    expect(decidePublication(view(version(), { fn: fn({ ready: { status: "False", message: "Bad zip." } }) }))).toMatchObject({
      message: expect.stringContaining("Function hello: Bad zip."),
    });
  });

  test("is published when it is what publishIf names", () => {
    const { codeSha256 = "", revisionId = "" } = fn().status?.effective ?? {};
    expect(decidePublication(view(version({ publishIf: { codeSha256, revisionId } }))).kind).toBe("publish");
  });

  test("is not published when the newest version is the same, whatever is said of it", () => {
    const decided = decidePublication(view(version({ description: "other words" }), { latest: published(4, { description: "words" }) }));
    expect(decided).toMatchObject({ kind: "exists", version: 4, message: expect.stringContaining("version 4 (Version v)") });
    if (decided.kind !== "exists") throw new Error("it exists");
    const { status } = decideUnpublished(view(version()), decided, clock);
    expect(status?.functionArn).toBe("arn:aws:lambda:us-east-1:123456789012:function:hello:4");
    // That stays said: what was asked for then is not published later.
    const told = version({}, status === undefined ? {} : { status });
    expect(decidePublication(view(told, { fn: fn({ sha: "b".repeat(64) }) }))).toEqual({ kind: "existed" });
  });

  test.each<[string, Partial<VersionSpec>]>([
    ["code", { code: { package: { sha256: "b".repeat(64), size: 12 } } }],
    ["memory", { memorySize: 256 }],
    ["a variable", { environment: { variables: { STAGE: "2" } } }],
    ["a role", { role: "other" }],
    ["a dead letter queue", { deadLetterConfig: { targetArn: "queue:dead" } }],
  ])("is published when the newest version has other %s", (_, spec) => {
    expect(decidePublication(view(version(), { latest: published(4, spec) })).kind).toBe("publish");
  });

  test("says that its number cannot be written down", () => {
    expect(readyOf(decideWithoutNumber(view(version()), "The API server is away.", clock))).toMatchObject({
      reason: "NumberUnavailable",
      message: "The API server is away.",
    });
  });
});

describe("a published version", () => {
  const active = (of = published(7)) => decidePublished(view(of), true, clock);

  test("is Active with its own configuration, ARN and revision", () => {
    const { status, notice } = active();
    expect(status).toMatchObject({
      state: "Active",
      functionArn: "arn:aws:lambda:us-east-1:123456789012:function:hello:7",
      lastModified: "2026-01-31T12:00:00.000+0000",
      effective: { packageSha256: SHA, environment: { STAGE: "1" }, loggingConfig: { logGroup: "/aws/lambda/hello" } },
    });
    expect(status?.effective?.revisionId).not.toBe(fn().status?.effective?.revisionId);
    expect(notice).toMatchObject({ type: "Normal", reason: "Active" });
  });

  test("stable: no writes, later and whatever is provisioned", () => {
    const { status = {} } = active();
    const kept = published(
      7,
      {},
      { status: { ...status, provisionedConcurrency: { requestedProvisionedConcurrentExecutions: 1, status: "READY" } } },
    );
    expect(decidePublished(view(kept), true, later)).toEqual({});
  });

  test("keeps its time and revision when something beside the code changes", () => {
    const { status = {} } = active();
    const changed = published(7, { provisionedConcurrentExecutions: 2 }, { status, metadata: { generation: 2 } });
    const decided = decidePublished(view(changed), true, later);
    expect(decided.status).toMatchObject({ observedGeneration: 2, effective: status.effective, lastModified: status.lastModified });
    expect(decided).not.toHaveProperty("notice");
  });

  test("is Failed without its package, and runs nothing", () => {
    const { status } = decidePublished(view(published(7)), false, clock);
    expect(status).toMatchObject({
      state: "Failed",
      stateReasonCode: "InvalidZipFileException",
      stateReason: expect.stringContaining(SHA),
    });
    expect(status).not.toHaveProperty("effective");
  });

  test.each<[string, VersionView, string, string | undefined]>([
    [
      "stays as it is while its namespace is no account",
      view(published(7), { account: { enabled: false } }),
      "NamespaceNotEnabled",
      undefined,
    ],
    ["stays as it is while its function is gone", alone(published(7)), "FunctionNotFound", undefined],
    [
      "runs nothing when it belongs to a function that was deleted",
      view(published(7, {}, { metadata: owned("u-former") })),
      "FunctionNotFound",
      "Failed",
    ],
    ["runs nothing when an older object has the number", view(published(7), { numberHeldBy: "other" }), "NameConflict", "Failed"],
    ["fails when its runtime is not installed", view(published(7), { runtimes: [] }), "NotSupported", "Failed"],
    ["fails when it is from an image", view(published(7, { code: { image: "i@sha256:0" } })), "NotSupported", "Failed"],
  ])("%s", (_, of, reason, state) => {
    const obstacle = findVersionObstacle(of);
    if (obstacle === undefined) throw new Error("there is one");
    const decided = decideObstructedVersion(of, obstacle, clock);
    expect(readyOf(decided)).toMatchObject({ status: "False", reason });
    expect(decided.status?.state).toBe(state);
    expect(decided.status).not.toHaveProperty("effective");
  });

  test("keeps what is in force through what only lasts a while", () => {
    const { status = {} } = active();
    const of = view(published(7, {}, { status }), { account: { enabled: false } });
    const obstacle = findVersionObstacle(of);
    if (obstacle === undefined) throw new Error("there is one");
    expect(decideObstructedVersion(of, obstacle, clock).status).toMatchObject({ state: "Active", effective: status.effective });
  });

  test("has no obstacle when it belongs to its function, or to nobody yet", () => {
    expect(findVersionObstacle(view(published(7, {}, { metadata: owned("u-fn") })))).toBeUndefined();
    expect(findVersionObstacle(view(published(7)))).toBeUndefined();
  });
});
