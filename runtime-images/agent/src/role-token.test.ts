import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RoleTokenFiles } from "./role-token.ts";

let folder: string;
let files: RoleTokenFiles;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kappa-role-"));
  files = new RoleTokenFiles(folder);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const tokenOf = (token: string) => ({ token, namespace: "team", caCertificate: "PEM\n" });
const read = async (name: string) => await readFile(join(folder, name), "utf8");

test("the role's token is where Kubernetes' clients look, for its user only, and nothing else is left", async () => {
  files.write(tokenOf("first"));
  expect((await readdir(folder)).sort()).toEqual(["ca.crt", "namespace", "token"]);
  expect([await read("token"), await read("namespace"), await read("ca.crt")]).toEqual(["first", "team", "PEM\n"]);
  for (const name of await readdir(folder)) expect((await lstat(join(folder, name))).mode & 0o777).toBe(0o400);
});

test("of several that come at once the last one stays", async () => {
  for (let index = 0; index < 20; index++) files.write(tokenOf(`token-${index}`));
  expect(await read("token")).toBe("token-19");
});

test("a token that is renewed is never seen in part", async () => {
  const tokens = ["a".repeat(2000), "b".repeat(2000)];
  files.write(tokenOf(tokens[0] ?? ""));
  for (let round = 0; round < 100; round++) {
    const reading = read("token");
    files.write(tokenOf(tokens[round % 2] ?? ""));
    expect(tokens).toContain(await reading);
  }
});

test("what a function put in its way is replaced and not followed", async () => {
  const outside = join(folder, "outside");
  await writeFile(outside, "precious");
  await symlink(outside, join(folder, "token"));
  await mkdir(join(folder, ".ca.crt.1"));
  await symlink(outside, join(folder, ".token.3"));
  files.write(tokenOf("mine"));
  expect(await read("token")).toBe("mine");
  expect(await read("outside")).toBe("precious");
});

test("a folder that cannot be written is an error, and the next token is tried all the same", async () => {
  await rm(folder, { recursive: true });
  expect(() => files.write(tokenOf("first"))).toThrow("ENOENT");
  await mkdir(folder);
  files.write(tokenOf("second"));
  expect(await read("token")).toBe("second");
});
