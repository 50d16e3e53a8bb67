import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { imagesReference } from "../generate/images-reference.ts";
import { hashRecipe, type Inputs, type LayerRecipe, NATS_VERSION, type Recipe, recipes, reference } from "./recipes.ts";
import { readSizes } from "./sizes.ts";

const inputs: Inputs = {
  node: "/node",
  nodeLicence: "/node-licence",
  natsServer: "/nats-server",
  operator: { code: "/main.mjs", licences: "/licences" },
  agent: { code: "/agent.cjs", licences: "/licences" },
  runtimeClients: { "python3.11": "/python", "nodejs22.x": "/node22", "nodejs24.x": "/node24", java17: "/java" },
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

/** How many layers have another tag than before, of each image that has any. */
async function rebuilt(...changed: string[]): Promise<Record<string, number>> {
  const [before, after] = [await tags(), await tags(changed)];
  return Object.fromEntries(
    Object.entries(before)
      .map(([name, chain]) => [name, chain.filter((tag, index) => tag !== after[name]?.[index]).length] as const)
      .filter(([, layers]) => layers > 0),
  );
}

/** The same number for every runtime. */
const everyRuntime = (layers: number): Record<string, number> =>
  Object.fromEntries(
    Object.keys(recipes(inputs))
      .filter((name) => name.startsWith("runtime/"))
      .map((name) => [name, layers]),
  );

test("there is an image for each runtime", () => {
  expect(Object.keys(everyRuntime(0))).toEqual(
    expect.arrayContaining(["runtime/python3.11", "runtime/nodejs22.x", "runtime/nodejs24.x", "runtime/java17", "runtime/provided.al2023"]),
  );
});

test("the same content gives the same tags", async () => {
  expect(await rebuilt()).toEqual({});
});

test("a change of Kappa's code makes the last layer anew, of one image or of every runtime's", async () => {
  expect(await rebuilt("/main.mjs")).toEqual({ operator: 1 });
  expect(await rebuilt("/agent.cjs")).toEqual(everyRuntime(1));
});

test("a new language client is under the agent, and a new Node is under both, but above the packages", async () => {
  expect(await rebuilt("/python")).toEqual({ "runtime/python3.11": 2 });
  expect(await rebuilt("/node22/lang")).toEqual({ "runtime/nodejs22.x": 2 });
  expect(await rebuilt("/node24/runtime")).toEqual({ "runtime/nodejs24.x": 2 });
  expect(await rebuilt("/java")).toEqual({ "runtime/java17": 2 });
  expect(await rebuilt("/node")).toEqual({ operator: 2, ...everyRuntime(3) });
});

test("both versions of Node.js start in the same way", async () => {
  for (const file of ["bootstrap", "preload.cjs"])
    expect(await rebuilt(`runtime-images/nodejs/${file}`)).toEqual({ "runtime/nodejs22.x": 2, "runtime/nodejs24.x": 2 });
});

test("runtimes without packages of their own share everything below their language", async () => {
  const all = await tags();
  expect(all["runtime/nodejs22.x"]?.slice(2)).toEqual(all["runtime/nodejs24.x"]?.slice(2));
  expect(all["runtime/python3.11"]?.[2]).not.toBe(all["runtime/nodejs24.x"]?.[2]);
});

test("a changed Containerfile or clean-up script is a change too", async () => {
  expect(await rebuilt("operator/images/nats/Containerfile")).toEqual({ nats: 1 });
  expect(await rebuilt("scripts/images/rootfs/finish.sh")).toEqual({ operator: 3, ...everyRuntime(4) });
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
  expect(await hashRecipe(rootfs, digest)).not.toBe(await hashRecipe({ ...rootfs, excluded: ["/a"] }, digest));
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

test("the documentation says what is in every image and how large it is (else: node scripts/images.ts --record && npm run generate)", () => {
  expect(Object.keys(readSizes()).sort()).toEqual(Object.keys(recipes(inputs)).sort());
  const rows = imagesReference()
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  for (const row of rows) expect(row).toMatch(/^\| `[\w/.]+` \| [^|]{10,} \| \d+ \| \d+ \|$/);
  expect(rows).toHaveLength(Object.keys(recipes(inputs)).length);
  expect(rows.join()).not.toContain("undefined");
});
