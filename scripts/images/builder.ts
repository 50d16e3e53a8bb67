import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { ClusterError } from "../../e2e/cluster/failure.ts";
import { fileSha256, readIfThere, writeWhole } from "../../e2e/cluster/files.ts";
import type { Contents } from "./contents.ts";
import type { ImageEngine } from "./engine.ts";
import { contentDigest, copyInto } from "./files.ts";
import { hashRecipe, type LayerRecipe, type Recipe, ROOTFS_CONTAINERFILE, reference } from "./recipes.ts";
import { makeRootfs } from "./rootfs.ts";

/** An image that can be loaded. */
export interface BuiltImage {
  /** `operator`, `nats` or `runtime/<identifier>`. */
  name: string;
  /** Repository and tag, as a pod names it. */
  reference: string;
  /** Path of the docker-archive. */
  archive: string;
  /** Size of the archive. */
  bytes: number;
  /** Sizes of the layers, as a node and as a registry keep them. */
  unpackedBytes: number;
  compressedBytes: number;
  /** False when it was there already. */
  built: boolean;
}

const Receipt = z.object({ sha256: z.string(), bytes: z.number(), unpackedBytes: z.number(), compressedBytes: z.number() });

type Sizes = Omit<z.infer<typeof Receipt>, "sha256">;

/** How many archives of one image are kept: this one's, and those of other branches worked on in turn. */
const KEPT_ARCHIVES = 3;

export interface ImageBuilderOptions {
  engine: ImageEngine;
  /** Folder of the checkout: recipes name files relative to it. */
  checkout: string;
  /** Where archives, root file systems and build contexts are kept. */
  folder: string;
  logFile: string;
  /** Looks into an archive. */
  contentsOf: (archive: string) => Promise<Contents>;
  /** Gets a line for each thing that takes time. */
  note: (line: string) => void;
}

/** Builds images from recipes, only what is not there. */
export class ImageBuilder {
  readonly #options: ImageBuilderOptions;
  readonly #digests = new Map<string, Promise<string>>();

  constructor(options: ImageBuilderOptions) {
    this.#options = options;
  }

  /** The archive of an image: the kept one when it is whole, else a new one. */
  async archive(name: string, recipe: LayerRecipe): Promise<BuiltImage> {
    const tagged = reference(recipe, await hashRecipe(recipe, this.#digest));
    const archive = join(this.#options.folder, "archives", `${tagged.replaceAll(/[/:]/g, "_")}.tar`);
    const kept = await this.#verified(archive);
    if (kept !== undefined) return { name, reference: tagged, archive, ...kept, built: false };
    await this.#ensure(recipe);
    await mkdir(dirname(archive), { recursive: true });
    const unfinished = `${archive}.unfinished`;
    await rm(unfinished, { force: true });
    await this.#options.engine.save(tagged, unfinished);
    const { packageManagers, unpackedBytes, compressedBytes } = await this.#options.contentsOf(unfinished);
    if (packageManagers.length > 0)
      throw new ClusterError(
        `${tagged} has a package manager in it: ${packageManagers.slice(0, 5).join(", ")}`,
        "leave it out of the recipe, or remove it in the layer that brings it",
      );
    await rename(unfinished, archive);
    const sizes: Sizes = { bytes: (await stat(archive)).size, unpackedBytes, compressedBytes };
    await writeWhole(receiptOf(archive), JSON.stringify({ sha256: await fileSha256(archive), ...sizes }));
    this.#options.note(`${tagged}: ${mebibytes(sizes.bytes)} MiB`);
    await this.#prune(recipe.repository, archive);
    return { name, reference: tagged, archive, ...sizes, built: true };
  }

  /** Sizes of a whole archive, or undefined when there is none or it is not the one that was written. */
  async #verified(archive: string): Promise<Sizes | undefined> {
    const text = await readIfThere(receiptOf(archive));
    if (text === undefined) return undefined;
    const receipt = Receipt.safeParse(JSON.parse(text)).data;
    if (receipt !== undefined && (await fileSha256(archive)) === receipt.sha256) {
      const { sha256: _, ...sizes } = receipt;
      return sizes;
    }
    this.#options.note(`${basename(archive)} is damaged or of an older version: made again`);
    return undefined;
  }

  /** Makes sure that an image is in the engine's store, with all it stands on. @returns its reference */
  async #ensure(recipe: Recipe): Promise<string> {
    const hash = await hashRecipe(recipe, this.#digest);
    const tagged = reference(recipe, hash);
    if (await this.#options.engine.has(tagged)) return tagged;
    const started = Date.now();
    const context = join(this.#options.folder, "contexts", `${tagged.replaceAll(/[/:]/g, "_")}.${process.pid}`);
    await rm(context, { recursive: true, force: true });
    await mkdir(context, { recursive: true });
    try {
      if (recipe.kind === "rootfs") {
        const tar = join(this.#options.folder, "rootfs", `${basename(recipe.repository)}-${hash}.tar`);
        if ((await stat(tar).catch(() => undefined)) === undefined)
          await makeRootfs(recipe, tar, this.#options.checkout, this.#options.logFile);
        await copyInto(tar, join(context, "rootfs.tar"));
        await this.#options.engine.build({
          reference: tagged,
          containerfile: this.#absolute(ROOTFS_CONTAINERFILE),
          context,
          base: undefined,
        });
      } else {
        const base = recipe.base === undefined ? undefined : await this.#ensure(recipe.base);
        for (const [name, source] of Object.entries(recipe.context)) await copyInto(this.#absolute(source), join(context, name));
        await this.#options.engine.build({ reference: tagged, containerfile: this.#absolute(recipe.containerfile), context, base });
      }
    } finally {
      await rm(context, { recursive: true, force: true });
    }
    this.#options.note(`${tagged} built in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return tagged;
  }

  /** Removes older archives of the same image, and those images from the store. */
  async #prune(repository: string, current: string): Promise<void> {
    const folder = dirname(current);
    const prefix = `${repository.replaceAll("/", "_")}_`;
    const names = (await readdir(folder)).filter((name) => name.startsWith(prefix) && name.endsWith(".tar"));
    const dated = await Promise.all(names.map(async (name) => ({ name, time: (await stat(join(folder, name))).mtimeMs })));
    for (const { name } of dated.sort((a, b) => b.time - a.time).slice(KEPT_ARCHIVES)) {
      await rm(join(folder, name), { force: true });
      await rm(receiptOf(join(folder, name)), { force: true });
      await this.#options.engine.remove(`${repository}:${name.slice(prefix.length, -".tar".length)}`);
    }
  }

  #absolute(path: string): string {
    return resolve(this.#options.checkout, path);
  }

  /** Content hashes, each read once: Node's binary alone is in three images. */
  readonly #digest = (path: string): Promise<string> => {
    const found = this.#digests.get(path);
    if (found !== undefined) return found;
    const digest = contentDigest(this.#absolute(path)).catch((cause: unknown) => {
      throw new ClusterError(`an image needs ${path}, which cannot be read`, "run npm ci for Node, and make up for the built programs", {
        cause,
      });
    });
    this.#digests.set(path, digest);
    return digest;
  };
}

const receiptOf = (archive: string): string => `${archive}.json`;

export const mebibytes = (bytes: number): number => Math.round(bytes / 1024 / 1024);
