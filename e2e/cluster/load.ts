import { copyFile, link, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Engine } from "./engine.ts";
import { ClusterError } from "./failure.ts";
import { fileSha256 } from "./files.ts";
import { EXCHANGE_IN_NODE } from "./kind-config.ts";
import type { Paths } from "./paths.ts";
import { run } from "./run.ts";
import { NODES } from "./settings.ts";

/** Says from which archive a node's image was imported, so that the same archive is not imported twice. */
const ARCHIVE_LABEL = "kappa.dev/archive-sha256";
const Manifest = z.array(z.object({ RepoTags: z.array(z.string()).nullable() }));

/** The names under which a node has an image: its own, and for one without a host the same with the default registry in front. */
export function namesOnNode(name: string, listed: string): string[] {
  return listed
    .split("\n")
    .map((line) => line.trim())
    .filter((there) => there === name || there.endsWith(`/${name}`));
}

/**
 * Gives all nodes the images of docker-archive files, nodes in parallel. A node that has all images of an archive from this very archive is
 * skipped. Returns what was done, one line for each archive and node.
 */
export async function loadArchives(engine: Engine, paths: Paths, archives: readonly string[]): Promise<string[]> {
  const done: string[] = [];
  for (const archive of archives) {
    const sha256 = await fileSha256(archive);
    if (sha256 === undefined) throw new ClusterError(`image archive ${archive} is not there`, "build it first");
    const names = await archiveImages(archive);
    const shared = join(paths.exchange, `${sha256}.tar`);
    const onNode = (node: string, args: readonly string[]) => engine.containers(["exec", node, "ctr", "--namespace", "k8s.io", ...args]);
    const load = async (node: string) => {
      const listed = await onNode(node, ["images", "list", "--quiet", `labels."${ARCHIVE_LABEL}"==${sha256}`]);
      if (names.every((name) => namesOnNode(name, listed).length > 0)) return `${names.join(" ")}: ${node} has it`;
      await handOver(archive, shared);
      await onNode(node, ["images", "import", "--all-platforms", `${EXCHANGE_IN_NODE}/${sha256}.tar`]);
      const imported = await onNode(node, ["images", "list", "--quiet"]);
      for (const name of names.flatMap((wanted) => namesOnNode(wanted, imported))) {
        await onNode(node, ["images", "label", name, `${ARCHIVE_LABEL}=${sha256}`]);
      }
      return `${names.join(" ")}: loaded into ${node}`;
    };
    try {
      done.push(...(await Promise.all(NODES.map(load))));
    } finally {
      await rm(shared, { force: true });
    }
  }
  return done;
}

async function archiveImages(archive: string): Promise<string[]> {
  try {
    const manifest = Manifest.parse(
      JSON.parse(await run(["tar", "--extract", "--to-stdout", "--file", archive, "--wildcards", "--no-anchored", "manifest.json"])),
    );
    const names = manifest.flatMap((image) => image.RepoTags ?? []);
    if (names.length > 0) return names;
  } catch (error) {
    throw new ClusterError(`${archive} is no docker-archive`, "write it with `buildah push … docker-archive:FILE:NAME` or `docker save`", {
      cause: error,
    });
  }
  throw new ClusterError(`${archive} has no named image`, "give the image a name when the archive is written (docker-archive:FILE:NAME)");
}

/** Puts the archive where nodes see it; two nodes may ask for it at the same time. */
async function handOver(archive: string, shared: string): Promise<void> {
  await mkdir(join(shared, ".."), { recursive: true });
  try {
    await link(archive, shared);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EEXIST") return;
    if (code !== "EXDEV" && code !== "EPERM") throw error;
    await copyFile(archive, shared); // another file system
  }
}
