/** Looks into the archive of an image: what is in it, and how large it is. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { z } from "zod";
import { readIfThere, writeWhole } from "../../e2e/cluster/files.ts";
import { run } from "../../e2e/cluster/run.ts";
import { packageManagersAmong } from "./package-managers.ts";

const Contents = z.object({
  /** Bytes of all layers as a node keeps them. */
  unpackedBytes: z.number(),
  /** Bytes of all layers as a registry keeps them. */
  compressedBytes: z.number(),
  /** Files of package managers: there should be none. */
  packageManagers: z.array(z.string()),
});

export type Contents = z.infer<typeof Contents>;

const Manifest = z.tuple([z.object({ Layers: z.array(z.string()) })]);

/**
 * Contents of a docker-archive. A layer is looked at once: its name in the archive is its digest.
 * @param folder where what was seen of each layer is kept
 */
export async function contentsOf(archive: string, folder: string): Promise<Contents> {
  const [{ Layers }] = Manifest.parse(JSON.parse(await run(["tar", "--extract", "--to-stdout", "--file", archive, "manifest.json"])));
  const layers: Contents[] = [];
  for (const layer of Layers) layers.push(await layerContents(archive, layer, folder));
  return sum(layers);
}

/** What layers on top of each other hold. Pure. */
function sum(layers: readonly Contents[]): Contents {
  return {
    unpackedBytes: layers.reduce((total, { unpackedBytes }) => total + unpackedBytes, 0),
    compressedBytes: layers.reduce((total, { compressedBytes }) => total + compressedBytes, 0),
    packageManagers: layers.flatMap(({ packageManagers }) => packageManagers),
  };
}

async function layerContents(archive: string, layer: string, folder: string): Promise<Contents> {
  const file = join(folder, `${createHash("sha256").update(layer).digest("hex").slice(0, 24)}.json`);
  const known = await readIfThere(file);
  if (known !== undefined) return Contents.parse(JSON.parse(known));
  const extract = spawn("tar", ["--extract", "--to-stdout", "--file", archive, layer], { stdio: ["ignore", "pipe", "inherit"] });
  // Zeros are the end of an archive: without the option the program would leave before it has read all of them.
  const list = spawn("tar", ["--list", "--ignore-zeros"], { stdio: ["pipe", "pipe", "inherit"] });
  const [unpacked, listed, zipped] = [new PassThrough(), new PassThrough(), createGzip()];
  extract.stdout.pipe(unpacked);
  extract.stdout.pipe(listed);
  extract.stdout.pipe(zipped);
  const [unpackedBytes, compressedBytes, names] = await Promise.all([
    bytesOf(unpacked),
    bytesOf(zipped),
    textOf(list.stdout),
    pipeline(listed, list.stdin),
    ended(extract, archive),
    ended(list, archive),
  ]);
  const contents = { unpackedBytes, compressedBytes, packageManagers: packageManagersAmong(names.split("\n")) };
  await writeWhole(file, JSON.stringify(contents));
  return contents;
}

async function bytesOf(stream: Readable): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream) bytes += chunk.length;
  return bytes;
}

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function ended(child: ReturnType<typeof spawn>, archive: string): Promise<void> {
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${archive} cannot be read: tar ended with ${code}`);
}
