/** Knative Serving from its Go module: programs as images, and the manifests that it is installed with. */
import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { kept } from "../../../scripts/images/runtime-clients/kept.ts";
import { ClusterError } from "../../cluster/failure.ts";
import { textSha256 } from "../../cluster/files.ts";
import { type Image, writeImageArchive } from "../../cluster/images/archive.ts";
import { writeLayer } from "../../cluster/images/layer.ts";
import { CommandError, run } from "../../cluster/run.ts";

/** go.mod requires the same. Newer releases do not resolve. */
export const VERSION = "v0.42.2";
const PROGRAMS = ["activator", "autoscaler", "controller", "queue", "webhook"] as const;

const BUILD = ["nice", "-n", "19", "go", "build", "-trimpath", "-ldflags", "-s -w"];
const ENVIRONMENT = { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -buildvcs=false" };
/** Number of user and group: Knative's pods must not run as root. */
const USER = "65532:65532";

/** Manifests by the module that they are from, relative to the module. */
const MANIFESTS = {
  "knative.dev/serving": "config/core",
  "knative.dev/networking": "config",
  "knative.dev/caching": "config",
};

export interface KnativeParts {
  /** docker-archive of all images. */
  archive: string;
  /** Folder with the manifests of {@link MANIFESTS}. */
  manifests: string;
}

/** A program's image. Knative asks no registry for the digest of one from dev.local. */
export const imageOf = (program: string): string => `dev.local/knative/${program}:${VERSION}`;

/** Builds what is not in the cache: some minutes, once for a version. */
export async function knativeParts(cacheDir: string, note: (line: string) => void): Promise<KnativeParts> {
  const pins = await Promise.all(["go.mod", "go.sum"].map((file) => readFile(join(import.meta.dirname, file), "utf8")));
  const key = textSha256(process.arch, JSON.stringify([PROGRAMS, BUILD, ENVIRONMENT, MANIFESTS, USER]), ...pins).slice(0, 12);
  const folder = await kept(join(cacheDir, "bench", `knative-serving-${VERSION}-${key}`), async (unfinished) => {
    const work = join(unfinished, "work");
    await mkdir(work, { recursive: true });
    const images: Image[] = [];
    for (const [index, program] of PROGRAMS.entries()) {
      const started = Date.now();
      images.push(await imageWith(program, work));
      note(`Knative Serving ${VERSION}, ${index + 1}/${PROGRAMS.length} ${program} … ${Math.round((Date.now() - started) / 1000)} s`);
    }
    await writeImageArchive(join(unfinished, "images.tar"), images, work);
    for (const [module, path] of Object.entries(MANIFESTS))
      await cp(join(await folderOf(module), path), join(unfinished, "manifests", module), { recursive: true });
    // Go's module cache is read-only, and so are copies from it.
    await run(["chmod", "-R", "u+w", unfinished]);
    await rm(work, { recursive: true });
  });
  return { archive: join(folder, "images.tar"), manifests: join(folder, "manifests") };
}

async function imageWith(program: string, work: string): Promise<Image> {
  const [built, layer] = [join(work, program), join(work, `${program}.layer.tar`)];
  await go([...BUILD, "-o", built, `knative.dev/serving/cmd/${program}`]);
  await writeLayer(layer, [{ path: `/${program}`, from: built, mode: 0o755 }], work);
  return { names: [imageOf(program)], layers: [layer], config: { Entrypoint: [`/${program}`], User: USER } };
}

/** A module in Go's module cache, where the build of the programs has brought it. */
const folderOf = (module: string): Promise<string> => go(["go", "list", "-m", "-f", "{{.Dir}}", module]);

async function go(argv: readonly string[]): Promise<string> {
  try {
    return await run(argv, { cwd: import.meta.dirname, env: ENVIRONMENT, timeoutMs: 40 * 60_000 });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new ClusterError(
      `building Knative Serving: ${error.message}`,
      "check that the Go module proxy answers and that there is room for Go's caches (go env GOCACHE GOMODCACHE), then run it again; or run the bench without PEERS=knative",
      { cause: error },
    );
  }
}
