import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type EffectiveConfiguration, objectRevisionId, revisionId, runnableId, versionConfiguration } from "./effective.ts";

const input = fc.record({ uid: fc.uuid(), generation: fc.integer({ min: 1 }), packageSha256: fc.stringMatching(/^[0-9a-f]{64}$/) });

describe("revisionId", () => {
  test("has the shape of a UUID", () => {
    fc.assert(fc.property(input, (of) => /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(revisionId(of))));
  });

  test("is the same for the same input and another one for another generation", () => {
    fc.assert(
      fc.property(input, (of) => {
        expect(revisionId({ ...of })).toBe(revisionId(of));
        expect(revisionId({ ...of, generation: of.generation + 1 })).not.toBe(revisionId(of));
      }),
    );
  });
});

const effective: EffectiveConfiguration = {
  revisionId: "00000000-0000-8000-8000-000000000000",
  codeSha256: "x",
  codeSize: 1,
  packageSha256: "p",
  runtime: "python3.11",
  handler: "index.handler",
  memorySize: 128,
  timeout: 3,
  environment: { A: "1", B: "2" },
  ephemeralStorageMb: 512,
  role: "default",
  architectures: ["x86_64"],
  loggingConfig: { logFormat: "Text", logGroup: "/aws/lambda/f" },
};
const idOf = (special: Partial<EffectiveConfiguration> = {}, version = "$LATEST") =>
  runnableId({ uid: "u", version, effective: { ...effective, ...special } });

describe("runnableId", () => {
  test("names function and version", () => {
    expect(idOf({}, "7")).toMatch(/^u\/7\/[0-9a-f]{32}$/);
  });

  test("stays when only the revision or the reserved concurrency changes, which environments do not see", () => {
    expect(idOf({ revisionId: "other", reservedConcurrentExecutions: 5 })).toBe(idOf());
  });

  test("does not depend on the order of members", () => {
    expect(idOf({ environment: { B: "2", A: "1" } })).toBe(idOf());
  });

  test.each<Partial<EffectiveConfiguration>>([
    { packageSha256: "q" },
    { runtime: "java17" },
    { handler: "a.b" },
    { memorySize: 129 },
    { timeout: 4 },
    { environment: { A: "1" } },
    { ephemeralStorageMb: 513 },
    { role: "other" },
    { architectures: ["arm64"] },
    { loggingConfig: { logFormat: "JSON", logGroup: "/aws/lambda/f" } },
  ])("changes with %o", (special) => {
    expect(idOf(special)).not.toBe(idOf());
  });

  test("differs between versions of equal content", () => {
    expect(idOf({}, "1")).not.toBe(idOf({}, "2"));
  });
});

describe("versionConfiguration", () => {
  const version = (spec: object) => ({
    apiVersion: "kappa.dev/v1alpha1" as const,
    kind: "Version" as const,
    metadata: { name: "v", uid: "u", generation: 4 },
    spec: { functionName: "My_Fn", ...spec },
  });
  const frozen = {
    version: 7,
    code: { package: { sha256: "00ff", size: 12 } },
    runtime: "python3.11" as const,
    handler: "index.handler",
    memorySize: 256,
    timeout: 3,
    ephemeralStorage: { size: 512 },
    role: "default",
    architectures: ["x86_64" as const],
    loggingConfig: { logFormat: "Text" as const },
    tracingConfig: { mode: "PassThrough" as const },
  };

  test("is none before the version is published, and none of an image", () => {
    expect(versionConfiguration(version({}))).toBeUndefined();
    expect(versionConfiguration(version({ ...frozen, code: { image: "i@sha256:0" } }))).toBeUndefined();
  });

  test("is complete, with the function's log group and no variables where there are none", () => {
    expect(versionConfiguration(version(frozen))).toMatchObject({
      packageSha256: "00ff",
      codeSha256: "AP8=",
      codeSize: 12,
      memorySize: 256,
      environment: {},
      loggingConfig: { logFormat: "Text", logGroup: "/aws/lambda/My_Fn" },
    });
  });

  test("keeps its revision for life, whatever may change beside the code", () => {
    const later = version({ ...frozen, provisionedConcurrentExecutions: 5 });
    expect(versionConfiguration({ ...later, metadata: { ...later.metadata, generation: 9 } })?.revisionId).toBe(
      versionConfiguration(version(frozen))?.revisionId,
    );
  });
});

test("an alias has another revision after each change", () => {
  const [first, second] = [1, 2].map((generation) => objectRevisionId({ uid: "u", generation }));
  expect(first).not.toBe(second);
  expect(objectRevisionId({ uid: "u", generation: 1 })).toBe(first);
});
