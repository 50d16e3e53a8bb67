/** What documents name is there: files, targets of make, values of the chart. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

const ROOT = join(import.meta.dirname, "..");
const inFolder = (folder: string) => readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`);
const PAGES = ["README.md", "e2e/cluster/README.md", "e2e/bench/README.md", ...inFolder("docs/guides"), ...inFolder("docs/adr")];
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const matches = (page: string, pattern: RegExp) => [...read(page).matchAll(pattern)].map(([, first = ""]) => first);

/** GitHub's anchor of a heading. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, "")
    .replaceAll(/\s/g, "-");

describe.each(PAGES)("%s", (page) => {
  test("links lead to files and headings", () => {
    for (const link of matches(page, /\]\((?!https?:)([^)]+)\)/g)) {
      const [path = "", heading] = link.split("#");
      const target = path === "" ? page : join(dirname(page), path);
      expect(existsSync(join(ROOT, target)), link).toBe(true);
      if (heading !== undefined) expect(matches(target, /^#+ (.+)$/gm).map(anchor), link).toContain(heading);
    }
  });

  test("make has the targets", () => {
    const targets = matches("Makefile", /^([a-z-]+):.*##/gm);
    const named = matches(page, /(?:^|`)make ((?:-s )?[a-z][a-z -]*)/gm).flatMap((words) => words.split(" "));
    for (const target of named.filter((word) => word !== "-s" && word !== "")) expect(targets).toContain(target);
  });

  test("paths in the text exist", () => {
    for (const path of matches(page, /`((?:operator|runtime-images|e2e|scripts|charts|crds|docs|examples)\/[\w./-]+)`/g))
      expect(existsSync(join(ROOT, path)), path).toBe(true);
  });

  test("the chart has the values", () => {
    const values = parse(read("charts/kappa/values.yaml"));
    for (const path of matches(
      page,
      /`((?:images|controller|gateway|environments|pools|accounts|nats|networkPolicies|cluster)\.[a-zA-Z.]+)`/g,
    )) {
      if (/\.(ts|md)$/.test(path)) continue;
      let at = values;
      for (const key of path.split(".")) at = at?.[key];
      expect(at, path).toBeDefined();
    }
  });
});

test("ADR 1: the environment and argv are read in main.ts only", () => {
  const files = ["operator/src", "runtime-images/agent/src"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
  );
  const product = files.filter(
    (file) => /\.ts$/.test(file) && !/\.test\.ts$|\/testing\//.test(file) && statSync(join(ROOT, file)).isFile(),
  );
  const readers = product.filter((file) => /\bprocess\.(env|argv)\b/.test(read(file)));
  expect(readers.sort()).toEqual(["operator/src/main.ts", "runtime-images/agent/src/main.ts"]);
});
