import { expect, test } from "vitest";
import type { KubeObject } from "../kube/index.ts";
import { CacheIndex } from "./cache-index.ts";
import { FakeCache } from "./testing/fakes.ts";

type Colored = KubeObject & { color: string | undefined };
const object = (name: string, color: string | undefined): Colored => ({
  apiVersion: "v1",
  kind: "Thing",
  metadata: { name, namespace: "n" },
  color,
});
const namesOf = (index: CacheIndex<Colored>, color: string) =>
  index
    .of(color)
    .map(({ metadata }) => metadata.name)
    .toSorted();

test("has what was there before it, and follows what comes, moves and goes", () => {
  const cache = new FakeCache<Colored>(object("a", "red"));
  const index = new CacheIndex<Colored>(cache, ({ color }) => color);
  cache.put(object("b", "red"));
  cache.put(object("c", "blue"));
  expect(namesOf(index, "red")).toEqual(["a", "b"]);
  cache.put(object("a", "blue"));
  expect([namesOf(index, "red"), namesOf(index, "blue")]).toEqual([["b"], ["a", "c"]]);
  cache.remove("n", "b");
  expect(namesOf(index, "red")).toEqual([]);
});

test("leaves out what has no key, until it has one", () => {
  const cache = new FakeCache<Colored>(object("a", undefined));
  const index = new CacheIndex<Colored>(cache, ({ color }) => color);
  expect(namesOf(index, "red")).toEqual([]);
  cache.put(object("a", "red"));
  expect(namesOf(index, "red")).toEqual(["a"]);
  cache.put(object("a", undefined));
  expect(namesOf(index, "red")).toEqual([]);
});

test("gives the object as it is now", () => {
  const cache = new FakeCache<Colored>(object("a", "red"));
  const index = new CacheIndex<Colored>(cache, ({ color }) => color);
  const newer = { ...object("a", "red"), metadata: { name: "a", namespace: "n", resourceVersion: "2" } };
  cache.put(newer);
  expect(index.of("red")).toEqual([newer]);
});
