/** Publishing, aliases and what may be deleted, in a real cluster. */
import { afterAll, describe, expect, test } from "vitest";
import { kubectl } from "../../testing/index.ts";
import type { Alias, Function as LambdaFunction, Version, VersionSpec } from "../api/types.generated.ts";
import { KubeError, type KubeObject, Resources } from "../kube/index.ts";
import { eventually, functionObject, present, ready, useRealCluster } from "./testing/real-cluster.ts";

const cluster = useRealCluster();

const code = (answer: string) => ({ inline: `def handler(e, c): return "${answer}"\n` });
const version = (namespace: string, name: string, spec: Partial<VersionSpec> = {}): Version => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Version",
  metadata: { name, namespace },
  spec: { functionName: "hello", ...spec },
});
const alias = (namespace: string, name: string, functionVersion: string, special: Partial<Alias["spec"]> = {}): Alias => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Alias",
  metadata: { name, namespace },
  spec: { functionName: "hello", name: name.toUpperCase(), functionVersion, ...special },
});
const versionOf = (namespace: string, name: string) => cluster().get<Version>(Resources.version, namespace, name);
const aliasOf = (namespace: string, name: string) => cluster().get<Alias>(Resources.alias, namespace, name);
const settled = (reason: string) => (object: KubeObject | undefined) =>
  ready(object)?.reason === reason && ready(object)?.observedGeneration === object?.metadata.generation;

/** Applies a Version and waits until it is Active. */
async function published(namespace: string, name: string, spec: Partial<VersionSpec> = {}): Promise<Version> {
  await cluster().apply(Resources.version, version(namespace, name, spec));
  return present(await eventually(versionOf(namespace, name), (v) => settled("Active")(v)));
}
async function update(
  namespace: string,
  special: Partial<LambdaFunction["spec"]> & { code: LambdaFunction["spec"]["code"] },
): Promise<void> {
  const { code: source, ...rest } = special;
  const { metadata } = await cluster().apply(Resources.function, functionObject(namespace, "hello", source, rest));
  await eventually(
    cluster().get<LambdaFunction>(Resources.function, namespace, "hello"),
    (fn) => ready(fn)?.status === "True" && fn?.status?.observedGeneration === metadata.generation,
  );
}
async function withFunction(): Promise<string> {
  const namespace = await cluster().account();
  await cluster().created(
    functionObject(namespace, "hello", code("1"), { description: "first", environment: { variables: { STAGE: "1" } } }),
  );
  return namespace;
}
async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof KubeError)) throw new Error("it was not refused");
  return error.message;
}

describe("publishing", () => {
  test("a Version with functionName alone freezes what is in force, and belongs to the function", async () => {
    const namespace = await withFunction();
    const one = await published(namespace, "first");
    expect(one.spec).toMatchObject({ version: 1, description: "first", memorySize: 128, environment: { variables: { STAGE: "1" } } });
    const fn = present(await cluster().get<LambdaFunction>(Resources.function, namespace, "hello")());
    const { revisionId, ...frozen } = present(fn.status?.effective);
    expect(one.status).toMatchObject({ state: "Active", effective: frozen, functionArn: `${fn.status?.functionArn}:1` });
    expect(one.status?.effective?.revisionId).not.toBe(revisionId);
    expect(one.spec.code?.package?.sha256).toBe(fn.status?.effective?.packageSha256);
    expect(one.metadata.ownerReferences).toMatchObject([{ kind: "Function", name: "hello", uid: fn.metadata.uid, controller: true }]);

    await update(namespace, { code: code("2"), timeout: 9 });
    const two = await published(namespace, "second", { description: "mine" });
    expect(two.spec).toMatchObject({ version: 2, description: "mine", timeout: 9 });
    expect((await versionOf(namespace, "first")())?.status?.effective).toEqual(one.status?.effective);
  });

  test("applying the same file again, by kubectl too, takes nothing away", async () => {
    const namespace = await cluster().account();
    await cluster().created(functionObject(namespace, "hello", code("1")));
    const file = JSON.stringify(version(namespace, "again"));
    const apply = (...flags: string[]) => kubectl(cluster().kubeconfigPath, ["apply", ...flags, "-f", "-"], file);
    expect(await apply()).toMatchObject({ code: 0 });
    const first = present(await eventually(versionOf(namespace, "again"), settled("Active")));
    expect(await apply()).toMatchObject({ code: 0, stdout: expect.stringContaining("unchanged") });
    expect(await apply("--server-side", "--force-conflicts")).toMatchObject({ code: 0, stderr: "" });
    await cluster().apply(Resources.version, version(namespace, "again", { provisionedConcurrentExecutions: 1 }));
    const later = present(await eventually(versionOf(namespace, "again"), settled("Active")));
    const { provisionedConcurrentExecutions: _, ...frozen } = later.spec;
    expect(frozen).toEqual(first.spec);
  });

  test("unchanged code and configuration make no second version, and the object says which one there is", async () => {
    const namespace = await withFunction();
    const one = await published(namespace, "first");
    await cluster().apply(Resources.version, version(namespace, "second", { description: "other words" }));
    const second = present(await eventually(versionOf(namespace, "second"), settled("AlreadyPublished")));
    expect(second.spec).not.toHaveProperty("version");
    expect(second.status).toMatchObject({ functionArn: one.status?.functionArn });
    expect(ready(second)?.message).toContain("version 1 (Version first)");
    // What is published later is asked for later.
    await update(namespace, { code: code("2") });
    await published(namespace, "third");
    expect((await versionOf(namespace, "second")())?.spec).not.toHaveProperty("version");
  });

  test("many at once get numbers of their own, and of equal ones only one is published", async () => {
    const namespace = await cluster().account();
    const names = ["a", "b", "c", "d", "e", "f"];
    await Promise.all(
      names.map((name) =>
        cluster().apply(Resources.function, {
          ...functionObject(namespace, `fn-${name}`, code(name)),
          metadata: { name: `fn-${name}`, namespace },
        }),
      ),
    );
    await Promise.all(
      names.flatMap((name) =>
        [1, 2].map((n) => cluster().apply(Resources.version, version(namespace, `${name}-${n}`, { functionName: `fn-${name}` }))),
      ),
    );
    const all = await eventually(
      async () => (await cluster().admin.list<Version>(Resources.version, { namespace })).items,
      (items) => items.length === 12 && items.every((v) => ["Active", "AlreadyPublished"].includes(ready(v)?.reason ?? "")),
    );
    expect(all.filter((v) => ready(v)?.reason === "Active").map(({ spec }) => spec.version)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test("a function and its version that are applied together publish the new code, not the former", async () => {
    const namespace = await withFunction();
    await published(namespace, "first");
    for (let round = 2; round < 6; round++) {
      const fn = functionObject(namespace, "hello", code(`together-${round}`));
      const file = [fn, version(namespace, `round-${round}`)].map((object) => JSON.stringify(object)).join("\n---\n");
      expect(await kubectl(cluster().kubeconfigPath, ["apply", "--server-side", "--force-conflicts", "-f", "-"], file)).toMatchObject({
        code: 0,
      });
      const made = present(await eventually(versionOf(namespace, `round-${round}`), settled("Active")));
      const inForce = present(await cluster().get<LambdaFunction>(Resources.function, namespace, "hello")()).status?.effective;
      expect(made.spec).toMatchObject({ version: round, code: { package: { sha256: inForce?.packageSha256 } } });
    }
  });

  test("guards hold it back until the function is what they name", async () => {
    const namespace = await withFunction();
    const fn = present(await cluster().get<LambdaFunction>(Resources.function, namespace, "hello")());
    const { codeSha256 = "", revisionId = "" } = fn.status?.effective ?? {};
    await update(namespace, { code: code("other") });
    await cluster().apply(Resources.version, version(namespace, "by-code", { publishIf: { codeSha256 } }));
    await cluster().apply(Resources.version, version(namespace, "by-revision", { publishIf: { revisionId } }));
    const held = await eventually(versionOf(namespace, "by-code"), settled("PreconditionFailed"));
    expect(ready(held)?.message).toContain(`CodeSHA256 (${codeSha256}) is different from current CodeSHA256 in $LATEST`);
    await eventually(versionOf(namespace, "by-revision"), settled("PreconditionFailed"));
    await update(namespace, { code: code("1") });
    expect((await eventually(versionOf(namespace, "by-code"), settled("Active")))?.spec.version).toBe(1);
    // Taken back is another revision.
    expect(ready(await versionOf(namespace, "by-revision")())?.reason).toBe("PreconditionFailed");
  });

  test("numbers are not given again: not the highest's, not after a restart, not to a function made anew", async () => {
    const namespace = await withFunction();
    await published(namespace, "one");
    await update(namespace, { code: code("2") });
    await published(namespace, "two");
    await cluster().admin.delete(Resources.version, { namespace, name: "two" });
    expect((await published(namespace, "three")).spec.version).toBe(3);
    await cluster().restart();
    await cluster().admin.delete(Resources.version, { namespace, name: "three" });
    await update(namespace, { code: code("4") });
    expect((await published(namespace, "four")).spec.version).toBe(4);
    // There is no garbage collector here: the test takes its part.
    for (const name of ["one", "four"]) await cluster().admin.delete(Resources.version, { namespace, name });
    await cluster().admin.delete(Resources.function, { namespace, name: "hello" });
    await cluster().created(functionObject(namespace, "hello", code("1")));
    expect((await published(namespace, "five")).spec.version).toBe(5);
  });

  test("a version waits for its function, and says so", async () => {
    const namespace = await cluster().account();
    await cluster().apply(Resources.version, version(namespace, "early"));
    await eventually(versionOf(namespace, "early"), settled("FunctionNotFound"));
    await cluster().apply(Resources.function, functionObject(namespace, "hello", { zip: Buffer.from("no zip").toString("base64") }));
    await eventually(versionOf(namespace, "early"), settled("FunctionNotReady"));
    await cluster().apply(Resources.function, functionObject(namespace, "hello", code("1")));
    await eventually(versionOf(namespace, "early"), settled("Active"));
  });
});

describe("restoring", () => {
  test("a version with number and code is what it was, and its number is not given again", async () => {
    const namespace = await withFunction();
    const one = await published(namespace, "one");
    await cluster().admin.delete(Resources.version, { namespace, name: "one" });
    const restored = await published(namespace, "restored", { ...one.spec, version: 7 });
    expect(restored.status?.effective).toMatchObject({ packageSha256: one.status?.effective?.packageSha256, environment: { STAGE: "1" } });
    expect(restored.metadata.ownerReferences).toHaveLength(1);
    await cluster().admin.delete(Resources.version, { namespace, name: "restored" });
    expect((await published(namespace, "next")).spec.version).toBe(8);
  });

  test("a version whose package is not there fails with what to do", async () => {
    const namespace = await withFunction();
    const one = await published(namespace, "one");
    const missing = { package: { sha256: "0".repeat(64), size: 1 } };
    await cluster().apply(Resources.version, version(namespace, "lost", { ...one.spec, version: 3, code: missing }));
    const lost = await eventually(versionOf(namespace, "lost"), settled("InvalidPackage"));
    expect(lost?.status).toMatchObject({ state: "Failed", stateReasonCode: "InvalidZipFileException" });
    expect(lost?.status).not.toHaveProperty("effective");
  });

  test("of two objects with one number the older is the version", async () => {
    const namespace = await withFunction();
    const one = await published(namespace, "one");
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await cluster().apply(Resources.version, version(namespace, "copy", one.spec));
    const copy = await eventually(versionOf(namespace, "copy"), settled("NameConflict"));
    expect(copy?.status).not.toHaveProperty("effective");
    expect(ready(copy)?.message).toContain("Version one");
    await cluster().admin.delete(Resources.version, { namespace, name: "one" });
    await eventually(versionOf(namespace, "copy"), settled("Active"));
  });
});

describe("aliases", () => {
  test("an alias leads to its version, to two by weight, and stays where it was until both are there", async () => {
    const namespace = await withFunction();
    await cluster().apply(Resources.alias, alias(namespace, "prod", "1"));
    const waiting = await eventually(aliasOf(namespace, "prod"), settled("VersionNotFound"));
    expect(waiting?.status).not.toHaveProperty("effective");
    await published(namespace, "one");
    const resolved = present(await eventually(aliasOf(namespace, "prod"), settled("Resolved")));
    expect(resolved.status).toMatchObject({
      effective: { functionVersion: "1" },
      aliasArn: expect.stringMatching(/:function:hello:PROD$/),
      revisionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(resolved.metadata.ownerReferences).toMatchObject([{ kind: "Function", name: "hello" }]);

    const routingConfig = { additionalVersionWeights: { "2": "0.05" } };
    await cluster().apply(Resources.alias, alias(namespace, "prod", "1", { routingConfig }));
    const held = await eventually(aliasOf(namespace, "prod"), settled("VersionNotFound"));
    expect(held?.status?.effective).toEqual({ functionVersion: "1" });
    await update(namespace, { code: code("2") });
    await published(namespace, "two");
    const weighted = await eventually(aliasOf(namespace, "prod"), settled("Resolved"));
    expect(weighted?.status?.effective).toEqual({ functionVersion: "1", routingConfig });
    expect(weighted?.status?.revisionId).not.toBe(resolved.status?.revisionId);

    await cluster().apply(Resources.alias, alias(namespace, "prod", "2"));
    const moved = await eventually(aliasOf(namespace, "prod"), (a) => settled("Resolved")(a) && a?.metadata.generation === 3);
    expect(moved?.status?.effective).toEqual({ functionVersion: "2" });
  });

  test("of two aliases with one name the older counts", async () => {
    const namespace = await withFunction();
    await published(namespace, "one");
    await cluster().apply(Resources.alias, alias(namespace, "prod", "1"));
    await eventually(aliasOf(namespace, "prod"), settled("Resolved"));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const second = { ...alias(namespace, "prod", "$LATEST"), metadata: { name: "prod-2", namespace } };
    await cluster().apply(Resources.alias, second);
    const refused = await eventually(aliasOf(namespace, "prod-2"), settled("NameConflict"));
    expect(refused?.status).not.toHaveProperty("effective");
  });
});

describe("deleting what is referenced", () => {
  const namespaces: string[] = [];
  afterAll(() => Promise.all(namespaces.map((name) => cluster().admin.delete(Resources.namespace, { name }))));

  test("is refused with the alias' name, for its version and for its second one, until the alias leads elsewhere", async () => {
    const namespace = await withFunction();
    namespaces.push(namespace);
    await published(namespace, "one");
    await update(namespace, { code: code("2") });
    await published(namespace, "two");
    await cluster().apply(Resources.alias, alias(namespace, "prod", "1", { routingConfig: { additionalVersionWeights: { "2": "0.5" } } }));
    await eventually(aliasOf(namespace, "prod"), settled("Resolved"));
    // A policy takes effect some moments after it was created, and sees an alias some moments after that was.
    const dryRun = (name: string) => kubectl(cluster().kubeconfigPath, ["delete", "version", name, "-n", namespace, "--dry-run=server"]);
    await eventually(
      () => dryRun("two"),
      (answer) => answer.code !== 0,
    );
    for (const name of ["one", "two"])
      expect(await refusal(cluster().admin.delete(Resources.version, { namespace, name }))).toContain(
        "Unable to delete version because the following aliases reference it: [PROD]",
      );
    await cluster().apply(Resources.alias, alias(namespace, "prod", "1"));
    await eventually(
      () => dryRun("two"),
      (answer) => answer.code === 0,
    );
    expect(await cluster().admin.delete(Resources.version, { namespace, name: "two" })).toBe(true);

    // Kubernetes' own clean-up is not held up.
    for (const identity of ["generic-garbage-collector", "namespace-controller"])
      expect(
        await kubectl(cluster().kubeconfigPath, [
          "delete",
          "version",
          "one",
          "-n",
          namespace,
          "--dry-run=server",
          `--as=system:serviceaccount:kube-system:${identity}`,
        ]),
      ).toMatchObject({ code: 0 });
    await cluster().admin.delete(Resources.alias, { namespace, name: "prod" });
    await eventually(
      () => dryRun("one"),
      (answer) => answer.code === 0,
    );
  });

  test("does not concern versions of other functions, nor other namespaces", async () => {
    const [here, elsewhere] = [await withFunction(), await withFunction()];
    await published(here, "one");
    await published(elsewhere, "one");
    await cluster().created(functionObject(here, "other", code("1")));
    await published(here, "other-one", { functionName: "other" });
    await cluster().apply(Resources.alias, alias(here, "prod", "1"));
    await eventually(aliasOf(here, "prod"), settled("Resolved"));
    expect(await cluster().admin.delete(Resources.version, { namespace: here, name: "other-one" })).toBe(true);
    expect(await cluster().admin.delete(Resources.version, { namespace: elsewhere, name: "one" })).toBe(true);
  });
});

test("a restarted controller writes nothing about versions and aliases that are as they should be", async () => {
  const namespace = await withFunction();
  await published(namespace, "one");
  await cluster().apply(Resources.alias, alias(namespace, "prod", "1"));
  await eventually(aliasOf(namespace, "prod"), settled("Resolved"));
  await cluster().quiet(1000);
  const before = cluster().writes().length;
  await cluster().restart();
  await cluster().quiet(1500);
  // Events of what was done before may still be on their way.
  expect(
    cluster()
      .writes()
      .slice(before)
      .filter(({ resource }) => resource !== "events"),
  ).toEqual([]);
});
