import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileSha256, textSha256 } from "../files.ts";
import { run } from "../run.ts";

/** What a container of the image is started with; names and meaning as in the OCI image specification's `config`. */
export type ImageConfig = {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly StopSignal?: string;
};

/** An image: its names, its layers (uncompressed tar files, the lowest first) and its configuration. */
export type Image = { readonly names: readonly string[]; readonly layers: readonly string[]; readonly config: ImageConfig };

/** Architectures in the words of image configurations. */
export const imageArchitecture = (arch: string = process.arch) => (arch === "x64" ? "amd64" : arch);

/** The image configuration document (OCI image specification, "config.json"); `diffIds` are the layers' `sha256:…`. */
export function imageConfigDocument(config: ImageConfig, diffIds: readonly string[], architecture = imageArchitecture()): string {
  return JSON.stringify({
    architecture,
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config,
    rootfs: { type: "layers", diff_ids: diffIds },
  });
}

/**
 * Writes one `docker-archive` (what `docker save` writes, and podman, containerd and kind read) with any number of images. A layer that
 * several images share is stored once. The file appears whole or not at all.
 */
export async function writeImageArchive(path: string, images: readonly Image[], temporaryFolder: string): Promise<void> {
  await mkdir(temporaryFolder, { recursive: true });
  const folder = await mkdtemp(join(temporaryFolder, "archive-"));
  try {
    const digests = new Map<string, string>();
    for (const layer of new Set(images.flatMap((image) => image.layers))) {
      const digest = await fileSha256(layer);
      if (digest === undefined) throw new Error(`layer ${layer} is not there`);
      digests.set(layer, digest);
      await copyFile(layer, join(folder, `${digest}.tar`));
    }
    const manifest = [];
    for (const { names, layers, config } of images) {
      const layerDigests = layers.map((layer) => digests.get(layer) ?? "");
      const document = imageConfigDocument(
        config,
        layerDigests.map((digest) => `sha256:${digest}`),
      );
      const configName = `${textSha256(document)}.json`;
      await writeFile(join(folder, configName), document);
      manifest.push({ Config: configName, RepoTags: names, Layers: layerDigests.map((digest) => `${digest}.tar`) });
    }
    await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
    const temporary = `${path}.tmp`;
    await run([
      "tar",
      "--create",
      "--file",
      temporary,
      "--sort=name",
      "--mtime=@0",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--directory",
      folder,
      ".",
    ]);
    await rename(temporary, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
