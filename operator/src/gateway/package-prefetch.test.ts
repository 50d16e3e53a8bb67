import { expect, test, vi } from "vitest";
import type { Function as FunctionObject } from "../api/types.generated.ts";
import { FunctionRegistry } from "./function-registry.ts";
import { PackagePrefetch } from "./package-prefetch.ts";

function setup({ room = true } = {}) {
  const registry = new FunctionRegistry();
  const fetched: string[] = [];
  const own = new Set(["team/a", "team/b"]);
  const control = { underWay: 0, most: 0 };
  const prefetch = new PackagePrefetch({
    registry,
    isOwner: (key) => own.has(key),
    packages: {
      async fetchAhead(sha256) {
        control.most = Math.max(control.most, ++control.underWay);
        await new Promise((resolve) => setImmediate(resolve));
        control.underWay--;
        fetched.push(sha256);
        return room;
      },
    },
  });
  const put = (name: string, packageSha256: string, codeSize = 1000) =>
    registry.put({
      apiVersion: "kappa.dev/v1alpha1",
      kind: "Function",
      metadata: { name, namespace: "team", uid: name, creationTimestamp: "2026-01-01T00:00:00Z" },
      spec: {},
      status: { state: "Active", effective: { revisionId: packageSha256, packageSha256, codeSize } },
    } as unknown as FunctionObject);
  return { prefetch, put, fetched, own, control };
}

test("packages of a gateway's own functions are fetched as they come and change, one after the other", async () => {
  const t = setup();
  t.put("a", "1");
  t.put("b", "2");
  t.put("a", "3");
  await vi.waitFor(() => expect(t.fetched.toSorted()).toEqual(["1", "2", "3"]));
  expect(t.control.most).toBe(1);
});

test("large packages and those of others are not", async () => {
  const t = setup();
  t.put("c", "1");
  t.put("a", "2", 10_000_000);
  t.put("b", "3");
  await vi.waitFor(() => expect(t.fetched).toEqual(["3"]));
});

test("a new owner fetches what is its own now", async () => {
  const t = setup();
  t.put("c", "1");
  t.own.add("team/c");
  t.prefetch.ownersChanged();
  await vi.waitFor(() => expect(t.fetched).toEqual(["1"]));
});

test("none is fetched when there is no room", async () => {
  const t = setup({ room: false });
  t.put("a", "1");
  t.put("b", "2");
  await vi.waitFor(() => expect(t.fetched).toEqual(["1"]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(t.fetched).toEqual(["1"]);
});
