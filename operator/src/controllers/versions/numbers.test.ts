import { beforeEach, describe, expect, test } from "vitest";
import { KubeError, type KubeObject } from "../../kube/index.ts";
import { conflict, fakeContext, notFound, unreachable } from "../testing/fakes.ts";
import { VersionNumbers } from "./numbers.ts";

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/** ConfigMaps as the API server keeps them: a patch with another resource version than the object's is a conflict. */
let stored: Map<string, ConfigMap>;
let version: number;
beforeEach(() => {
  stored = new Map();
  version = 0;
});
function cluster() {
  const fake = fakeContext();
  fake.onGet = (_, { name }) => structuredClone(stored.get(name));
  fake.onApply = (object) => {
    const { name, namespace = "", resourceVersion, labels } = object.metadata;
    const there = stored.get(name);
    if (resourceVersion !== undefined && there === undefined) throw notFound();
    if (resourceVersion !== undefined && there?.metadata.resourceVersion !== resourceVersion) throw conflict();
    const data = { ...there?.data, ...(object as ConfigMap).data };
    const kept: ConfigMap = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace, resourceVersion: String(++version), labels: { ...there?.metadata.labels, ...labels } },
      data,
    };
    stored.set(name, kept);
    return structuredClone(kept);
  };
  return { ...fake, numbers: new VersionNumbers(fake.context.client) };
}
const all = () => Object.assign({}, ...[...stored.values()].map(({ data }) => data));

describe("the numbers of a function's versions", () => {
  test("end with the last one that a version may have, which is told and costs nobody else", async () => {
    const { numbers } = cluster();
    await numbers.record("team", "a", 9_999_999_999);
    const [none, next] = await Promise.allSettled([numbers.reserve("team", "a", 0), numbers.reserve("team", "b", 0)]);
    expect(none).toMatchObject({ status: "rejected", reason: { code: "K301" } });
    expect(next).toMatchObject({ status: "fulfilled", value: 1 });
    expect(all()).toEqual({ a: "9999999999", b: "1" });
  });

  test("begin anew in a namespace that was made anew", async () => {
    const { numbers } = cluster();
    await numbers.record("team", "a", 5);
    stored.clear();
    numbers.forget("team");
    await numbers.record("team", "a", 3);
    expect(all()).toEqual({ a: "3" });
  });

  test("are 1, 2, 3 …, of each function for itself, and written down before they are given", async () => {
    const { numbers } = cluster();
    expect(await numbers.reserve("team", "a", 0)).toBe(1);
    expect(all()).toEqual({ a: "1" });
    expect(await numbers.reserve("team", "a", 0)).toBe(2);
    expect(await numbers.reserve("team", "b", 0)).toBe(1);
    expect(all()).toEqual({ a: "2", b: "1" });
  });

  test("go on where another leader stopped", async () => {
    await cluster().numbers.reserve("team", "a", 0);
    expect(await cluster().numbers.reserve("team", "a", 0)).toBe(2);
  });

  test("are greater than every version that is there, whatever is written down", async () => {
    const { numbers } = cluster();
    expect(await numbers.reserve("team", "a", 41)).toBe(42);
    await numbers.record("team", "a", 50);
    await numbers.record("team", "a", 3);
    expect(await numbers.reserve("team", "a", 42)).toBe(51);
  });

  test("are different for two that ask at once, and those who wait share a write", async () => {
    const { numbers, writes } = cluster();
    const given = await Promise.all(Array.from({ length: 20 }, () => numbers.reserve("team", "a", 0)));
    expect(given.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(writes.filter(({ verb }) => verb === "patch")).toHaveLength(2);
  });

  test("are given once although a former leader still writes", async () => {
    const [mine, former] = [cluster().numbers, cluster().numbers];
    await mine.reserve("team", "a", 0);
    expect(await former.reserve("team", "a", 0)).toBe(2);
    expect(await mine.reserve("team", "a", 0)).toBe(3);
    expect(all()).toEqual({ a: "3" });
  });

  test("go on after somebody deleted what was written down", async () => {
    const { numbers } = cluster();
    await numbers.reserve("team", "a", 0);
    stored.clear();
    expect(await numbers.reserve("team", "a", 1)).toBe(2);
  });

  test("cost no write when nothing is new", async () => {
    const { numbers, writes } = cluster();
    await numbers.record("team", "a", 5);
    const before = writes.length;
    await numbers.record("team", "a", 5);
    await numbers.record("team", "a", 2);
    expect(writes).toHaveLength(before);
  });

  test.each(["constructor", "__proto__", "toString", "hasOwnProperty"])("are those of a function called %s, too", async (name) => {
    const { numbers } = cluster();
    expect(await numbers.reserve("team", name, 0)).toBe(1);
    expect(await numbers.reserve("team", name, 0)).toBe(2);
    expect(await cluster().numbers.reserve("team", name, 0)).toBe(3);
  });

  test("of a name are always in the same ConfigMap, whose name the chart grants", async () => {
    const { numbers } = cluster();
    for (let index = 0; index < 300; index++) await numbers.reserve("team", `fn-${index}`, 0);
    expect(stored.size).toBe(16);
    for (const name of stored.keys()) expect(name).toMatch(/^kappa-version-numbers-[0-9a-f]$/);
  });
});

describe("a number cannot be given", () => {
  test("while the API server is away; the next one asks anew", async () => {
    const { numbers, failures } = cluster();
    failures.push(unreachable());
    await expect(numbers.reserve("team", "a", 0)).rejects.toThrow(KubeError);
    expect(await numbers.reserve("team", "a", 0)).toBe(1);
  });

  test("when others write again and again", async () => {
    const { numbers, failures } = cluster();
    await numbers.reserve("team", "a", 0);
    failures.push(...Array.from({ length: 5 }, conflict));
    await expect(numbers.reserve("team", "a", 0)).rejects.toThrow("somebody else wrote");
    expect(await numbers.reserve("team", "a", 0)).toBe(2);
  });

  test.each(["", "x", "-1", "1.5", "1e9", "99999999999"])("when what is written down is %j, and it says where", async (text) => {
    const { numbers } = cluster();
    await numbers.reserve("team", "a", 0);
    const [name = "", kept] = [...stored][0] ?? [];
    if (kept) stored.set(name, { ...kept, data: { a: text } });
    await expect(cluster().numbers.reserve("team", "a", 0)).rejects.toThrow(`ConfigMap team/${name}, key a: "${text}" is not the number`);
  });

  test("when the ConfigMap is somebody else's, which is not touched", async () => {
    const { numbers, writes } = cluster();
    await numbers.reserve("team", "a", 0);
    const [name = "", kept] = [...stored][0] ?? [];
    if (kept) stored.set(name, { ...kept, metadata: { ...kept.metadata, labels: {} } });
    const before = writes.length;
    await expect(cluster().numbers.reserve("team", "a", 0)).rejects.toThrow("is not Kappa's");
    expect(writes).toHaveLength(before);
  });
});
