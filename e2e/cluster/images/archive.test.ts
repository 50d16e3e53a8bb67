import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { fileSha256 } from "../files.ts";
import { run } from "../run.ts";
import { imageArchitecture, imageConfigDocument, writeImageArchive } from "./archive.ts";
import { writeLayer } from "./layer.ts";

const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), "kappa-archive-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
};

test("the same entries give the same layer, byte for byte, owned by root and with the modes asked for", async () => {
  const path = await folder();
  const entries = [
    { path: "/usr/bin/tool", text: "#!/bin/sh\n", mode: 0o755 },
    { path: "/etc/conf", text: "a=1\n" },
    { path: "/bin/link", link: "/usr/bin/tool" },
    { path: "/empty", folder: true },
  ] as const;
  await writeLayer(join(path, "a.tar"), entries, path);
  await writeLayer(join(path, "b.tar"), entries, path);
  expect(await fileSha256(join(path, "a.tar"))).toBe(await fileSha256(join(path, "b.tar")));
  const list = await run(["tar", "--list", "--verbose", "--numeric-owner", "--file", join(path, "a.tar")]);
  expect(list).toMatch(/-rwxr-xr-x 0\/0 .* \.\/usr\/bin\/tool/);
  expect(list).toMatch(/-rw-r--r-- 0\/0 .* \.\/etc\/conf/);
  expect(list).toContain("./bin/link -> /usr/bin/tool");
  expect(list).toContain("./empty/");
});

test("images that share a layer store it once, and each names its layers by digest", async () => {
  const path = await folder();
  const [base, top] = [join(path, "base.tar"), join(path, "top.tar")];
  await writeLayer(base, [{ path: "/a", text: "a" }], path);
  await writeLayer(top, [{ path: "/b", text: "b" }], path);
  const archive = join(path, "images.tar");
  const images = [
    { names: ["one:1"], layers: [base], config: { Entrypoint: ["/a"] } },
    { names: ["two:1", "two:latest"], layers: [base, top], config: { StopSignal: "SIGRTMIN+3" } },
  ];
  await writeImageArchive(archive, images, path);
  await run(["tar", "--extract", "--file", archive, "--directory", path]);
  const manifest = JSON.parse(await readFile(join(path, "manifest.json"), "utf8"));
  expect(manifest.map((image: { RepoTags: string[] }) => image.RepoTags)).toEqual([["one:1"], ["two:1", "two:latest"]]);
  expect(manifest[1].Layers[0]).toBe(manifest[0].Layers[0]);
  const members = (await run(["tar", "--list", "--file", archive])).split("\n").filter((name) => name.endsWith(".tar"));
  expect(members).toHaveLength(2);
  for (const image of manifest) {
    const config = JSON.parse(await readFile(join(path, image.Config), "utf8"));
    const digests = await Promise.all(image.Layers.map(async (layer: string) => `sha256:${await fileSha256(join(path, layer))}`));
    expect(config.rootfs.diff_ids).toEqual(digests);
  }
});

test("an image's configuration names the processor in the registry's words", () => {
  expect([imageArchitecture("x64"), imageArchitecture("arm64")]).toEqual(["amd64", "arm64"]);
  expect(JSON.parse(imageConfigDocument({}, [], "arm64"))).toMatchObject({ architecture: "arm64", os: "linux" });
});
