/** Two programs that build from Containerfiles; above them everything is the same. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ClusterError } from "../../e2e/cluster/failure.ts";
import { attempt, run } from "../../e2e/cluster/run.ts";
import type { EngineName } from "../../e2e/cluster/settings.ts";
import { answers, ensureProgram } from "./programs.ts";

export interface ImageEngine {
  /** Whether the image is in the engine's store. */
  has(reference: string): Promise<boolean>;
  /** Builds `containerfile` with the files of `context`; `base` becomes the build argument BASE. */
  build(image: { reference: string; containerfile: string; context: string; base: string | undefined }): Promise<void>;
  /** Writes the image as a docker-archive, under the same name. */
  save(reference: string, archive: string): Promise<void>;
  remove(reference: string): Promise<void>;
}

/**
 * The engine that this machine has.
 * @param wanted `podman` means buildah, podman's builder; undefined: buildah where it is installed, else docker where it answers
 * @param folder where buildah keeps images
 * @param logFile gets the programs' output
 * @throws ClusterError when the wanted one, or any, is missing and cannot be installed
 */
export async function imageEngine(wanted: EngineName | undefined, folder: string, logFile: string): Promise<ImageEngine> {
  const docker = await dockerIsMeant(wanted);
  if (docker && !(await answers("docker", "version")))
    throw new ClusterError("images cannot be built: docker does not answer", "start the Docker daemon, or unset KAPPA_ENGINE");
  if (docker) return dockerEngine(logFile);
  await ensureProgram(BUILDAH, "buildah", logFile);
  return buildahEngine(folder, logFile);
}

const BUILDAH = ["buildah", "--version"];

async function dockerIsMeant(wanted: EngineName | undefined): Promise<boolean> {
  if (wanted !== undefined) return wanted === "docker";
  return !(await answers(...BUILDAH)) && (await answers("docker", "version"));
}

async function buildahEngine(folder: string, logFile: string): Promise<ImageEngine> {
  const temporary = join(folder, "tmp");
  await mkdir(temporary, { recursive: true });
  // Only images made here are used, so there is no signature to verify; without a file that says so buildah refuses to work.
  const policy = join(folder, "policy.json");
  await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  // In a mount namespace of its own: buildah leaves its store and what it was building mounted, above all when it is interrupted.
  const store = ["unshare", "--mount", "buildah", "--root", join(folder, "storage"), "--runroot", join(folder, "run")];
  const options = { logFile, env: { TMPDIR: temporary } };
  /** buildah's name for an image that is from no registry. */
  const local = (reference: string): string => `localhost/${reference}`;
  return {
    has: async (reference) =>
      (await attempt([...store, "inspect", "--type=image", "--format={{.FromImageID}}", local(reference)], options)).exitCode === 0,
    build: async ({ reference, containerfile, context, base }) => {
      const from = base === undefined ? [] : ["--build-arg", `BASE=${local(base)}`];
      // A fixed time stamp: the same content gives the same image, whenever it is made.
      const flags = ["--isolation=chroot", "--pull-never", `--signature-policy=${policy}`, "--layers=false", "--timestamp=0"];
      await run([...store, "build", ...flags, ...from, "--file", containerfile, "--tag", local(reference), context], options);
    },
    save: async (reference, archive) => {
      // By id: an image named by its name would be in the archive under both names.
      const id = (await run([...store, "images", "--quiet", "--no-trunc", local(reference)], options)).trim().replace("sha256:", "");
      await run([...store, "push", `--signature-policy=${policy}`, id, `docker-archive:${archive}:${reference}`], options);
    },
    remove: async (reference) => {
      await attempt([...store, "rmi", local(reference)], options);
    },
  };
}

function dockerEngine(logFile: string): ImageEngine {
  return {
    has: async (reference) => (await attempt(["docker", "image", "inspect", "--format={{.Id}}", reference])).exitCode === 0,
    build: async ({ reference, containerfile, context, base }) => {
      const from = base === undefined ? [] : ["--build-arg", `BASE=${base}`];
      await run(["docker", "build", ...from, "--file", containerfile, "--tag", reference, context], { logFile });
    },
    save: async (reference, archive) => {
      await run(["docker", "save", "--output", archive, reference], { logFile });
    },
    remove: async (reference) => {
      await attempt(["docker", "image", "rm", reference]);
    },
  };
}
