import { describe, expect, test } from "vitest";
import type { FunctionStatus, Function as LambdaFunction } from "../../api/types.generated.ts";
import { runnableId } from "../../domain/effective.ts";
import { KappaError } from "../../domain/errors.ts";
import { type CodeOutcome, decideFromCode, decideObstructed, type FunctionView, findObstacle, isInForce } from "./decide.ts";

const NOW = Date.parse("2026-01-31T12:00:00.000Z");
const LATER = { now: () => NOW + 3_600_000 };
const clock = { now: () => NOW };
const SHA = "a".repeat(64);
const OTHER_SHA = "b".repeat(64);

function fn(special: { spec?: Partial<LambdaFunction["spec"]>; generation?: number; status?: FunctionStatus } = {}): LambdaFunction {
  return {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name: "hello", namespace: "team", uid: "6f9d0000-0000-0000-0000-000000000001", generation: special.generation ?? 1 },
    spec: {
      runtime: "python3.11",
      handler: "index.handler",
      code: { inline: "def handler(event, context): pass" },
      memorySize: 128,
      timeout: 3,
      ephemeralStorage: { size: 512 },
      role: "default",
      architectures: ["x86_64"],
      loggingConfig: { logFormat: "Text" },
      tracingConfig: { mode: "PassThrough" },
      environment: { variables: {} },
      tags: {},
      ...special.spec,
    },
    ...(special.status === undefined ? {} : { status: special.status }),
  };
}
const view = (of: LambdaFunction, special: Partial<FunctionView> = {}): FunctionView => ({
  fn: of,
  account: { enabled: true, accountId: "123456789012" },
  region: "us-east-1",
  runtimes: ["python3.11", "nodejs24.x"],
  reservationRefused: false,
  ...special,
});
const stored = (sha256 = SHA): CodeOutcome => ({ kind: "stored", stored: { sha256, size: 321 } });
const refused: CodeOutcome = {
  kind: "refused",
  error: new KappaError("K200", "The package cannot be read: End of central directory record signature not found."),
};
const wrongDigest: CodeOutcome = { kind: "refused", error: new KappaError("K203", "The package has SHA-256 x, declared is y") };
const unavailable: CodeOutcome = { kind: "unavailable", error: new KappaError("K204", "https://x/p.zip answered with status 404") };
const reading: CodeOutcome = { kind: "reading" };

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("nothing there");
  return value;
}
function statusOf(of: LambdaFunction, code: CodeOutcome, at = clock): FunctionStatus {
  const { status } = decideFromCode(view(of), code, at);
  if (!status) throw new Error("a status was expected");
  return status;
}
/** A function that is active with `SHA`, at generation 1. */
const activeFunction = (): LambdaFunction => ({ ...fn(), status: statusOf(fn(), stored()) });
/** The same after spec changed. */
const changed = (spec: Partial<LambdaFunction["spec"]>): LambdaFunction => fn({ spec, generation: 2, ...pick(activeFunction()) });
const pick = ({ status }: LambdaFunction) => (status === undefined ? {} : { status });
const ready = (status: FunctionStatus | undefined) => status?.conditions?.find(({ type }) => type === "Ready");

describe("a function that is being created", () => {
  test("is Active with everything in force once its package is stored", () => {
    expect(statusOf(fn(), stored())).toEqual({
      observedGeneration: 1,
      functionArn: "arn:aws:lambda:us-east-1:123456789012:function:hello",
      state: "Active",
      lastUpdateStatus: "Successful",
      lastModified: "2026-01-31T12:00:00.000+0000",
      effective: {
        revisionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        codeSha256: Buffer.from(SHA, "hex").toString("base64"),
        codeSize: 321,
        packageSha256: SHA,
        runtime: "python3.11",
        handler: "index.handler",
        memorySize: 128,
        timeout: 3,
        environment: {},
        ephemeralStorageMb: 512,
        role: "default",
        architectures: ["x86_64"],
        loggingConfig: { logFormat: "Text", logGroup: "/aws/lambda/hello" },
      },
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "Active",
          message: "The function can be invoked with the configuration in spec.",
          observedGeneration: 1,
          lastTransitionTime: "2026-01-31T12:00:00Z",
        },
      ],
    });
  });

  test("has Lambda's name in its ARN and log group", () => {
    const status = statusOf(fn({ spec: { functionName: "My_Fn" } }), stored());
    expect(status.functionArn).toBe("arn:aws:lambda:us-east-1:123456789012:function:My_Fn");
    expect(status.effective?.loggingConfig.logGroup).toBe("/aws/lambda/My_Fn");
  });

  test("is Pending with Lambda's text while its package is read", () => {
    const status = statusOf(fn(), reading);
    expect(status).toMatchObject({ state: "Pending", stateReason: "The function is being created.", stateReasonCode: "Creating" });
    expect(status).not.toHaveProperty("lastUpdateStatus");
    expect(ready(status)).toMatchObject({ status: "False", reason: "Creating" });
  });

  test("stays Pending while its package cannot be had, and says why and what to do", () => {
    const status = statusOf(fn(), unavailable);
    expect(status).toMatchObject({ state: "Pending", stateReasonCode: "Creating" });
    expect(ready(status)).toMatchObject({
      status: "False",
      reason: "PackageUnavailable",
      message:
        "https://x/p.zip answered with status 404. Check that the source named in spec.code exists and can be reached from the controller. (K204)",
    });
  });

  test("is Failed when its package can never run, with what is wrong and what to do", () => {
    const status = statusOf(fn(), refused);
    expect(status).toMatchObject({
      state: "Failed",
      stateReasonCode: "InvalidZipFileException",
      stateReason:
        "The package cannot be read: End of central directory record signature not found. Make the archive again; its end is often missing after an interrupted upload. (K200)",
      lastUpdateStatus: "Failed",
      lastUpdateStatusReasonCode: "InvalidZipFileException",
    });
    expect(status).not.toHaveProperty("effective");
    expect(ready(status)).toMatchObject({ status: "False", reason: "InvalidPackage" });
  });

  test("is Failed when the package is not the declared one", () => {
    expect(statusOf(fn(), wrongDigest)).toMatchObject({ state: "Failed", stateReasonCode: "InvalidZipFileException" });
  });

  test("is Failed for its configuration when the handler names no file", () => {
    const outcome: CodeOutcome = { kind: "refused", error: new KappaError("K103", "Handler x names no file") };
    expect(statusOf(fn(), outcome)).toMatchObject({ state: "Failed", stateReasonCode: "InvalidConfiguration" });
  });

  test("never has a reason that is longer than the resource allows", () => {
    const outcome: CodeOutcome = { kind: "refused", error: new KappaError("K202", "x".repeat(20_000)) };
    expect(statusOf(fn(), outcome).stateReason).toHaveLength(1024);
  });
});

describe("a function that is being updated", () => {
  test("gets a new revision for new code", () => {
    const before = activeFunction().status;
    const status = statusOf(changed({}), stored(OTHER_SHA), LATER);
    expect(status).toMatchObject({
      state: "Active",
      lastUpdateStatus: "Successful",
      lastModified: "2026-01-31T13:00:00.000+0000",
      observedGeneration: 2,
    });
    expect(status.effective?.packageSha256).toBe(OTHER_SHA);
    expect(status.effective?.revisionId).not.toBe(before?.effective?.revisionId);
  });

  test("gets a new revision for new configuration", () => {
    const status = statusOf(changed({ timeout: 60 }), stored(), LATER);
    expect(status.effective).toMatchObject({ timeout: 60, packageSha256: SHA });
    expect(status.effective?.revisionId).not.toBe(activeFunction().status?.effective?.revisionId);
  });

  test("gets a new revision and keeps its warm environments when only its description changes", () => {
    const before = present(activeFunction().status?.effective);
    const status = statusOf(changed({ description: "new" }), stored(), LATER);
    const after = present(status.effective);
    expect(after).toEqual({ ...before, revisionId: after.revisionId });
    expect(after.revisionId).not.toBe(before.revisionId);
    const idOf = (effective: typeof after) => runnableId({ uid: "u", version: "$LATEST", effective });
    expect(idOf(after)).toBe(idOf(before));
    expect(status.lastModified).toBe("2026-01-31T13:00:00.000+0000");
    expect(status.observedGeneration).toBe(2);
  });

  test("stays Active with the former configuration while the new package is read", () => {
    const status = statusOf(changed({ timeout: 60 }), reading);
    expect(status).toMatchObject({
      state: "Active",
      lastUpdateStatus: "InProgress",
      lastUpdateStatusReason: "The function is being created.",
      lastUpdateStatusReasonCode: "Creating",
      effective: { timeout: 3, packageSha256: SHA },
    });
    expect(ready(status)).toMatchObject({ status: "False", reason: "Updating", observedGeneration: 2 });
  });

  test("keeps the former configuration in force when the new package is bad", () => {
    const status = statusOf(changed({ timeout: 60 }), refused);
    expect(status).toMatchObject({
      state: "Active",
      lastUpdateStatus: "Failed",
      lastUpdateStatusReasonCode: "InvalidZipFileException",
      effective: { timeout: 3, packageSha256: SHA },
    });
    expect(status).not.toHaveProperty("stateReason");
    expect(ready(status)).toMatchObject({
      status: "False",
      reason: "UpdateFailed",
      message: expect.stringMatching(/\(K200\) The former configuration stays in force\.$/),
    });
  });

  test("is whole again when the change is taken back", () => {
    const failed = { ...changed({}), status: statusOf(changed({}), refused) };
    const status = statusOf({ ...failed, metadata: { ...failed.metadata, generation: 3 } }, stored(), LATER);
    const { revisionId, ...whole } = present(activeFunction().status?.effective);
    expect(status).toMatchObject({ state: "Active", lastUpdateStatus: "Successful", effective: whole });
    expect(status.effective?.revisionId).not.toBe(revisionId);
    expect(status).not.toHaveProperty("lastUpdateStatusReason");
  });

  test("recovers from a failed creation", () => {
    const failed = fn({ generation: 2, status: statusOf(fn(), refused) });
    const status = statusOf(failed, stored());
    expect(status).toMatchObject({ state: "Active", lastUpdateStatus: "Successful" });
    expect(status).not.toHaveProperty("stateReason");
  });
});

describe("an obstacle", () => {
  const obstacle = (special: Partial<FunctionView>, of = fn()) => {
    const found = findObstacle(view(of, special));
    if (!found) throw new Error("an obstacle was expected");
    return decideObstructed(view(of, special), found, clock);
  };

  test("is not found in an ordinary function", () => {
    expect(findObstacle(view(fn()))).toBeUndefined();
  });

  test("is a namespace that is not enabled, told with the command that enables it", () => {
    const { status } = obstacle({ account: { enabled: false } });
    expect(status).toMatchObject({ state: "Pending", stateReasonCode: "Creating" });
    expect(status).not.toHaveProperty("functionArn");
    expect(ready(status)).toMatchObject({
      reason: "NamespaceNotEnabled",
      message: expect.stringContaining("kubectl label namespace team kappa.dev/enabled=true"),
    });
  });

  test("is an account that has no id yet", () => {
    expect(ready(obstacle({ account: { enabled: true } }).status)).toMatchObject({
      status: "False",
      message: expect.stringContaining("being set up"),
    });
  });

  test("leaves a function that was Active as it was, but not ready", () => {
    const of = activeFunction();
    const { status } = obstacle({ account: { enabled: false } }, of);
    expect(status).toMatchObject({
      state: "Active",
      lastUpdateStatus: "Successful",
      effective: of.status?.effective,
      functionArn: of.status?.functionArn,
    });
    expect(ready(status)).toMatchObject({ status: "False" });
  });

  test("is an older function with the same name", () => {
    expect(ready(obstacle({ nameHeldBy: "first" }).status)).toMatchObject({
      reason: "NameConflict",
      message: expect.stringContaining("Function first"),
    });
  });

  test("is a container image", () => {
    const { runtime, handler, ...spec } = fn().spec;
    const of = { ...fn(), spec: { ...spec, code: { image: "registry.example/f:1" } } };
    expect(obstacle({}, of).status).toMatchObject({ state: "Failed", stateReasonCode: "InvalidConfiguration" });
  });

  test.each([
    ["a VPC, which must never become the public placement", { vpcConfig: { subnetIds: ["private"] } }, "Remove spec.vpcConfig"],
    ["security groups alone", { vpcConfig: { securityGroupIds: ["db"] } }, "Remove spec.vpcConfig"],
    ["layers", { layers: ["arn:aws:lambda:us-east-1:111111111111:layer:l:1"] }, "remove spec.layers"],
    ["a RuntimeClass", { runtimeClassName: "gvisor" }, "Remove spec.runtimeClassName"],
  ])("is %s, told with what to remove", (_, spec, remedy) => {
    expect(obstacle({}, fn({ spec })).status).toMatchObject({
      state: "Failed",
      stateReasonCode: "InvalidConfiguration",
      stateReason: expect.stringContaining(remedy),
    });
  });

  test("is no VPC when its lists are empty, as the aws-cli takes a function out of one", () => {
    expect(findObstacle(view(fn({ spec: { vpcConfig: { subnetIds: [], securityGroupIds: [] } } })))).toBeUndefined();
  });

  test("is a runtime that is not installed, told with those that are", () => {
    const { status } = obstacle({}, fn({ spec: { runtime: "java17" } }));
    expect(status).toMatchObject({
      state: "Failed",
      stateReasonCode: "InvalidRuntime",
      stateReason: "Runtime java17 is not installed. Installed runtimes: nodejs24.x, python3.11.",
    });
  });

  test("does not stop the former configuration when only the new runtime is missing", () => {
    const { status } = obstacle({}, changed({ runtime: "java17" }));
    expect(status).toMatchObject({
      state: "Active",
      lastUpdateStatus: "Failed",
      lastUpdateStatusReasonCode: "InvalidRuntime",
      effective: { runtime: "python3.11" },
    });
  });

  test("stops a function whose runtime was taken away", () => {
    expect(obstacle({ runtimes: ["nodejs24.x"] }, activeFunction()).status).toMatchObject({
      state: "Failed",
      stateReasonCode: "InvalidRuntime",
    });
  });
});

describe("stable: no writes", () => {
  test.each<[string, CodeOutcome]>([
    ["Active", stored()],
    ["being read", reading],
    ["refused", refused],
    ["unavailable", unavailable],
  ])("when it is %s and says so", (_, outcome) => {
    const of = { ...fn(), status: statusOf(fn(), outcome) };
    expect(decideFromCode(view(of), outcome, LATER)).toEqual({});
  });

  test.each<[string, Partial<FunctionView>]>([
    ["the namespace is not enabled", { account: { enabled: false } }],
    ["the runtime is missing", { runtimes: [] }],
    ["the name is taken", { nameHeldBy: "first" }],
  ])("when %s and it says so", (_, special) => {
    const obstacle = findObstacle(view(fn(), special)) ?? { reason: "", message: "" };
    const { status } = decideObstructed(view(fn(), special), obstacle, clock);
    const of = { ...fn(), ...(status === undefined ? {} : { status }) };
    expect(decideObstructed(view(of, special), obstacle, LATER)).toEqual({});
  });

  test("when the API server left out empty maps and somebody else added a condition", () => {
    const of = activeFunction();
    const { environment, ...effective } = of.status?.effective ?? {};
    const foreign = { type: "Other", status: "True" as const, reason: "X", message: "", lastTransitionTime: "2026-01-01T00:00:00Z" };
    const status = { ...of.status, effective, conditions: [foreign, ...(of.status?.conditions ?? [])] } as FunctionStatus;
    expect(environment).toEqual({});
    expect(decideFromCode(view({ ...of, status }), stored(), LATER)).toEqual({});
  });
});

describe("events", () => {
  test("tell when a function becomes Active, fails and waits", () => {
    expect(decideFromCode(view(fn()), stored(), clock).notice).toMatchObject({ type: "Normal", reason: "Active" });
    expect(decideFromCode(view(fn()), refused, clock).notice).toMatchObject({ type: "Warning", reason: "InvalidPackage" });
    expect(decideFromCode(view(fn()), unavailable, clock).notice).toMatchObject({ type: "Warning", reason: "PackageUnavailable" });
    expect(decideFromCode(view(fn()), reading, clock).notice).toMatchObject({ type: "Normal", reason: "Creating" });
  });
});

describe("isInForce", () => {
  test("is true when status speaks of this very spec", () => {
    expect(isInForce(activeFunction())).toBe(true);
  });

  test("is false after a change, after a failure and without a status", () => {
    expect(isInForce(changed({ timeout: 60 }))).toBe(false);
    expect(isInForce({ ...changed({}), status: statusOf(changed({}), refused) })).toBe(false);
    expect(isInForce(fn())).toBe(false);
  });
});
