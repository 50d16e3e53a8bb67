import { describe, expect, test } from "vitest";
import type { FunctionCode, FunctionStatus, Function as LambdaFunction } from "../../api/types.generated.ts";
import { type CodeSource, type ConfigMapData, type ConfigMapHandle, codeSource, knownOutcome } from "./code.ts";
import type { CodeOutcome } from "./decide.ts";
import { withoutCode } from "./held-code.ts";

const SHA = "a".repeat(64);
function fn(code: FunctionCode, special: Partial<LambdaFunction["spec"]> = {}, status?: FunctionStatus): LambdaFunction {
  return {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name: "hello", namespace: "team", uid: "u", generation: 1 },
    spec: {
      runtime: "python3.11",
      handler: "index.handler",
      code,
      memorySize: 128,
      timeout: 3,
      ephemeralStorage: { size: 512 },
      role: "default",
      architectures: ["x86_64"],
      loggingConfig: { logFormat: "Text" },
      tracingConfig: { mode: "PassThrough" },
      environment: { variables: {} },
      tags: {},
      ...special,
    },
    ...(status === undefined ? {} : { status }),
  };
}
const nowhere = async () => undefined;
function source(code: FunctionCode, special: Partial<LambdaFunction["spec"]> = {}, configMap?: ConfigMapHandle): CodeSource {
  const found = codeSource(fn(code, special), configMap, nowhere);
  if (!found) throw new Error("a source was expected");
  return found;
}
const configMap = (data: ConfigMapData | undefined, resourceVersion = "1"): ConfigMapHandle => ({
  uid: "u-c",
  resourceVersion,
  read: async () => data,
});

describe("the identity of a source", () => {
  test.each<[string, FunctionCode]>([
    ["inline", { inline: "x" }],
    ["zip", { zip: "UEsFBg==" }],
    ["object", { object: { bucket: "code", key: "a.zip" } }],
    ["url", { url: { url: "https://x/a.zip", sha256: SHA } }],
  ])("of %s does not change with configuration", (_, code) => {
    expect(source(code, { timeout: 60, memorySize: 512, environment: { variables: { A: "1" } } }).identity).toBe(source(code).identity);
  });

  test.each<[string, FunctionCode, FunctionCode]>([
    ["text", { inline: "x" }, { inline: "y" }],
    ["kind", { inline: "UEsFBg==" }, { zip: "UEsFBg==" }],
    ["object key", { object: { bucket: "code", key: "a" } }, { object: { bucket: "code", key: "b" } }],
    ["where one part ends", { object: { bucket: "co", key: "dea" } }, { object: { bucket: "code", key: "a" } }],
    ["declared digest", { url: { url: "https://x/a", sha256: SHA } }, { url: { url: "https://x/a", sha256: "b".repeat(64) } }],
  ])("changes with the %s", (_, a, b) => {
    expect(source(a).identity).not.toBe(source(b).identity);
  });

  test("of source text changes with the handler, which names the file", () => {
    expect(source({ inline: "x" }, { handler: "main.run" }).identity).not.toBe(source({ inline: "x" }).identity);
  });

  test("of a ConfigMap changes with its version and the key, and needs no reading", () => {
    const code = { configMap: { name: "c", key: "k" } };
    const unread = { ...configMap({}), read: () => Promise.reject(new Error("nobody wanted it")) };
    const one = source(code, {}, unread).identity;
    expect(source(code, { timeout: 60 }, unread).identity).toBe(one);
    expect(source(code, {}, configMap({}, "2")).identity).not.toBe(one);
    expect(source(code, {}, { ...unread, uid: "u-anew" }).identity).not.toBe(one);
    expect(source({ configMap: { name: "c", key: "other" } }, {}, unread).identity).not.toBe(one);
  });
});

describe("codeSource", () => {
  test("reads base64 with line breaks", async () => {
    expect(Buffer.from((await source({ zip: "aGVs\nbG8=\n" }).bytes?.()) ?? []).toString()).toBe("hello");
  });

  test.each(["aGVsbG8", "aGV$bG8=", "=aGVs"])("refuses %j, which is not base64", async (zip) => {
    await expect(source({ zip }).bytes?.()).rejects.toThrow("spec.code.zip is not base64");
  });

  test.each<[string, FunctionCode, FunctionCode]>([
    ["inline", { inline: "x".repeat(5000) }, { inline: "y".repeat(5000) }],
    ["zip", { zip: "aGVs".repeat(1000) }, { zip: "aGFs".repeat(1000) }],
  ])("reads long %s code of a cached Function from the API server, and it is the same source", async (_, code, other) => {
    const cached = withoutCode(fn(code));
    const found = (current: FunctionCode | undefined) => codeSource(cached, undefined, async () => current && fn(current));
    expect(found(code)?.identity).toBe(source(code).identity);
    expect(await found(code)?.bytes?.()).toEqual(await source(code).bytes?.());
    await expect(found(other)?.bytes?.()).rejects.toMatchObject({ code: "K204" });
    await expect(found(undefined)?.bytes?.()).rejects.toMatchObject({ code: "K204" });
  });

  test("takes text under data of a ConfigMap as source, and what is under binaryData as the package", async () => {
    const bytesOf = async (data: ConfigMapData) => source({ configMap: { name: "c", key: "k" } }, {}, configMap(data)).bytes?.();
    expect(Buffer.from((await bytesOf({ data: { k: "x = 1" } })) ?? []).includes("index.py")).toBe(true);
    expect(Buffer.from((await bytesOf({ binaryData: { k: "aGVsbG8=" } })) ?? []).toString()).toBe("hello");
  });

  test("says that a ConfigMap or its key is not there, which may change", async () => {
    const code = { configMap: { name: "c", key: "k" } };
    expect(() => codeSource(fn(code), undefined, nowhere)).toThrow("ConfigMap c does not exist in namespace team");
    await expect(source(code, {}, configMap(undefined)).bytes?.()).rejects.toThrow("ConfigMap c does not exist in namespace team");
    await expect(source(code, {}, configMap({ data: { other: "" } })).bytes?.()).rejects.toThrow("Key k of ConfigMap c does not exist");
  });

  test("has no bytes for what has to be fetched", () => {
    expect(source({ object: { bucket: "b", key: "k" } }).bytes).toBeUndefined();
    expect(source({ url: { url: "https://x/a", sha256: SHA } })).toMatchObject({ declaredSha256: SHA });
  });

  test("is nothing for an image", () => {
    expect(codeSource(fn({ image: "x" }), undefined, nowhere)).toBeUndefined();
  });
});

describe("knownOutcome", () => {
  const inForce = (generation = 1): FunctionStatus => ({
    effective: {
      revisionId: "r",
      codeSha256: "",
      codeSize: 7,
      packageSha256: SHA,
      runtime: "python3.11",
      handler: "index.handler",
      memorySize: 128,
      timeout: 3,
      environment: {},
      ephemeralStorageMb: 512,
      role: "default",
      architectures: ["x86_64"],
      loggingConfig: { logFormat: "Text", logGroup: "g" },
    },
    conditions: [{ type: "Ready", status: "True", reason: "Active", message: "", lastTransitionTime: "", observedGeneration: generation }],
  });
  const stored: CodeOutcome = { kind: "stored", stored: { sha256: SHA, size: 7 } };
  const object = { object: { bucket: "b", key: "k" } };

  test("is nothing for a new function", () => {
    expect(knownOutcome(fn(object), source(object), undefined, false)).toBeUndefined();
  });

  test("is what is remembered under the same identity", () => {
    const { identity } = source(object);
    expect(knownOutcome(fn(object), source(object), { identity, outcome: { kind: "reading" } }, false)).toEqual({ kind: "reading" });
    expect(knownOutcome(fn(object), source(object), { identity: "other", outcome: { kind: "reading" } }, false)).toBeUndefined();
  });

  test("is what status says after a restart, so that nothing is fetched again", () => {
    expect(knownOutcome(fn(object, {}, inForce()), source(object), undefined, false)).toEqual(stored);
  });

  test("is nothing after a restart when spec changed meanwhile", () => {
    expect(knownOutcome(fn(object, {}, inForce(0)), source(object), undefined, false)).toBeUndefined();
  });

  test("is what status says of a URL with the same digest, even when spec changed", () => {
    const url = { url: { url: "https://moved/a.zip", sha256: SHA } };
    expect(knownOutcome(fn(url, {}, inForce(0)), source(url), undefined, false)).toEqual(stored);
  });

  test("is never what status says of a ConfigMap, which changes without the Function", () => {
    const code = { configMap: { name: "c", key: "k" } };
    expect(knownOutcome(fn(code, {}, inForce()), source(code, {}, configMap({ binaryData: { k: "" } })), undefined, false)).toBeUndefined();
  });

  test("is nothing when the package in force was lost", () => {
    const { identity } = source(object);
    expect(knownOutcome(fn(object, {}, inForce()), source(object), { identity, outcome: stored }, true)).toBeUndefined();
  });
});
