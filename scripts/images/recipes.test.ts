import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { hashRecipe, type Inputs, type LayerRecipe, NATS_VERSION, type Recipe, recipes, reference } from "./recipes.ts";

const inputs: Inputs = {
  node: "/node",
  natsServer: "/nats-server",
  operator: { code: "/main.mjs", licences: "/licences" },
  agent: { code: "/agent.mjs", licences: "/licences" },
  runtimeClients: { "python3.11": "/client" },
};

/** Tags of every image of a machine on which the given files have another content. */
async function tags(changed: string[] = []): Promise<Record<string, string[]>> {
  const digest = async (path: string): Promise<string> => (changed.includes(path) ? `${path}, changed` : path);
  const all: Record<string, string[]> = {};
  for (const [name, recipe] of Object.entries(recipes(inputs))) {
    const chain: Recipe[] = [recipe];
    for (let last = chain.at(-1); last?.kind === "layer" && last.base !== undefined; last = chain.at(-1)) chain.push(last.base);
    all[name] = await Promise.all(chain.map(async (image) => reference(image, await hashRecipe(image, digest))));
  }
  return all;
}

/** How many layers of each image have another tag than before. */
async function rebuilt(...changed: string[]): Promise<Record<string, number>> {
  const [before, after] = [await tags(), await tags(changed)];
  return Object.fromEntries(
    Object.entries(before).map(([name, chain]) => [name, chain.filter((tag, index) => tag !== after[name]?.[index]).length]),
  );
}

test("the same content gives the same tags", async () => {
  expect(await rebuilt()).toEqual({ operator: 0, nats: 0, "runtime/python3.11": 0 });
});

test("a change of Kappa's code makes the last layer of one image anew", async () => {
  expect(await rebuilt("/main.mjs")).toEqual({ operator: 1, nats: 0, "runtime/python3.11": 0 });
  expect(await rebuilt("/agent.mjs")).toEqual({ operator: 0, nats: 0, "runtime/python3.11": 1 });
});

test("a new language client is under the agent, and a new Node is under both, but above the packages", async () => {
  expect(await rebuilt("/client")).toEqual({ operator: 0, nats: 0, "runtime/python3.11": 2 });
  expect(await rebuilt("/node")).toEqual({ operator: 2, nats: 0, "runtime/python3.11": 3 });
});

test("a changed Containerfile or clean-up script is a change too", async () => {
  expect(await rebuilt("operator/images/nats/Containerfile")).toEqual({ operator: 0, nats: 1, "runtime/python3.11": 0 });
  expect(await rebuilt("scripts/images/rootfs/finish.sh")).toEqual({ operator: 3, nats: 0, "runtime/python3.11": 4 });
});

test("names of files in an image and its packages count, not only contents", async () => {
  const digest = async (): Promise<string> => "same";
  const layer: LayerRecipe = { kind: "layer", repository: "r", containerfile: "c", context: { a: "/x" } };
  expect(await hashRecipe(layer, digest)).not.toBe(await hashRecipe({ ...layer, context: { b: "/x" } }, digest));
  const rootfs: Recipe = {
    kind: "rootfs",
    repository: "r",
    variant: "extract",
    packages: ["a", "b"],
    user: { name: "u", id: 1 },
    directories: [],
  };
  expect(await hashRecipe(rootfs, digest)).not.toBe(await hashRecipe({ ...rootfs, packages: ["ab"] }, digest));
  expect(await hashRecipe(rootfs, digest)).toBe(await hashRecipe({ ...rootfs, packages: ["b", "a"] }, digest));
});

test("tags say the version of what has one", async () => {
  const { nats, operator } = await tags();
  expect(nats?.[0]).toMatch(/^kappa\/nats:2\.15\.2-[0-9a-f]{12}$/);
  expect(operator?.[0]).toMatch(/^kappa\/operator:[0-9a-f]{12}$/);
});

test("NATS's version is the one that is built and the chart's default", () => {
  const read = (path: string): string => readFileSync(join(import.meta.dirname, "../..", path), "utf8");
  expect(read("e2e/cluster/parts/go.mod")).toContain(`github.com/nats-io/nats-server/v2 v${NATS_VERSION}`);
  expect(parse(read("charts/kappa/values.yaml")).images.nats.tag).toBe(NATS_VERSION);
});
