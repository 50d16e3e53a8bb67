import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ClusterError } from "../failure.ts";
import { fileSha256, readIfThere, textSha256, writeWhole } from "../files.ts";
import type { Sink } from "../progress.ts";
import { CommandError, run } from "../run.ts";

/** A Debian file system: packages on top of the smallest base, and a shell script that finishes it (its root in $1). */
export type DebianSystem = { readonly name: string; readonly packages: readonly string[]; readonly finish: string };

/** The release that all images are based on: its systemd still runs on cgroup v1, and it has clang 19. */
const RELEASE = "bookworm";

/** Bookkeeping of what a running node never reads. */
const LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/lintian/*"];

/** The system as an uncompressed tar in the cache: reused when it is what was recorded, else made from Debian's packages. */
export async function ensureDebianSystem(system: DebianSystem, cacheDir: string, logFile: string, note: Sink): Promise<string> {
  const folder = join(cacheDir, "systems");
  const key = textSha256(RELEASE, process.arch, JSON.stringify(system), JSON.stringify(LEFT_OUT)).slice(0, 16);
  const tarFile = join(folder, `${system.name}-${key}.tar`);
  const recorded = await readIfThere(`${tarFile}.sha256`);
  if (recorded !== undefined && (await fileSha256(tarFile)) === recorded) return tarFile;

  const start = Date.now();
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) if (name.startsWith(".making-")) await rm(join(folder, name), { recursive: true, force: true }); // interrupted
  const work = await mkdtemp(join(folder, ".making-"));
  try {
    const script = join(work, "finish.sh");
    await writeFile(script, `set -eu\n${system.finish}`);
    const made = join(work, "system.tar");
    const mmdebstrap = [
      "mmdebstrap",
      "--variant=minbase",
      "--format=tar",
      "--skip=output/dev",
      `--include=${system.packages.join(",")}`,
      ...LEFT_OUT.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
      `--customize-hook=sh ${script} "$1"`,
      RELEASE,
      made,
    ];
    // In namespaces of its own an interrupted build leaves no mount and no process.
    await run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", ...mmdebstrap], {
      env: { TMPDIR: work },
      logFile,
      timeoutMs: 20 * 60_000,
    });
    const sha256 = await fileSha256(made);
    if (sha256 === undefined) throw new Error("mmdebstrap wrote no file");
    await rename(made, tarFile);
    await writeWhole(`${tarFile}.sha256`, sha256);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new ClusterError(
      `making the Debian system "${system.name}": ${error.message}`,
      "check that Debian's package archive answers (apt-get update), then run it again",
      {
        cause: error,
      },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  note(`Debian system ${system.name} … ${Math.round((Date.now() - start) / 1000)} s`);
  return tarFile;
}
