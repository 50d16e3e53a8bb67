/**
 * The bench's own image: the runtime of Node.js 24 exactly as environments have it, AWS's runtime interface emulator, a handler that
 * does nothing, and the load program.
 */
import { chmod, copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { ImageBuilder } from "../../scripts/images/builder.ts";
import { contentsOf } from "../../scripts/images/contents.ts";
import { imageEngine } from "../../scripts/images/engine.ts";
import { ensureProgram } from "../../scripts/images/programs.ts";
import { type LayerRecipe, recipes } from "../../scripts/images/recipes.ts";
import { kept } from "../../scripts/images/runtime-clients/kept.ts";
import { nodejsRuntimeClients } from "../../scripts/images/runtime-clients/nodejs.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { loadArchives } from "../cluster/load.ts";
import { run } from "../cluster/run.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/** AWS's emulator is part of this package of PyPI's (Apache 2.0). */
const SAM_CLI = "aws-sam-cli==1.170.0";
const EMULATOR = `aws-lambda-rie-${process.arch === "arm64" ? "arm64" : "x86_64"}`;

/** Builds the image where something in it changed and gives it to the nodes. @returns its reference */
export async function benchImage({ settings, engine, paths }: Cluster, note: (line: string) => void): Promise<string> {
  const folder = join(settings.cacheDir, "images");
  await mkdir(folder, { recursive: true });
  const logFile = join(folder, "bench.log");
  const options = { checkout, folder, logFile, note, contentsOf: (archive: string) => contentsOf(archive, join(folder, "layers")) };
  const builder = new ImageBuilder({ ...options, engine: await imageEngine(settings.engine, folder, logFile) });
  const image = await builder.archive("bench", await recipe(settings.cacheDir, logFile));
  await loadArchives(engine, paths, [image.archive]);
  return image.reference;
}

async function recipe(cacheDir: string, logFile: string): Promise<LayerRecipe> {
  const clients = await nodejsRuntimeClients(join(checkout, "runtime-images/nodejs"), join(cacheDir, "images/clients"), logFile);
  const program = join(checkout, "dist/bench/program.mjs");
  await build({
    entryPoints: [fileURLToPath(import.meta.resolve("./load/program.ts"))],
    outfile: program,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);' },
    logLevel: "warning",
  });
  return {
    kind: "layer",
    repository: "kappa/bench",
    containerfile: "e2e/bench/image/Containerfile",
    context: {
      "program.mjs": program,
      "index.mjs": "e2e/bench/handlers/node/index.mjs",
      "aws-lambda-rie": join(await emulator(cacheDir, logFile), EMULATOR),
    },
    base: nodejsLanguage(clients["nodejs24.x"]),
  };
}

/** What the environments' image of Node.js 24 is before the agent comes into it. Of all inputs it is made from these alone. */
function nodejsLanguage(client: string) {
  const none = { code: "", licences: "" };
  const inputs = {
    node: join(checkout, "node_modules/node/bin/node"),
    nodeLicence: join(checkout, `node_modules/node/node_modules/node-linux-${process.arch}/LICENSE`),
    natsServer: "",
    operator: none,
    agent: none,
    runtimeClients: { "python3.11": "", "nodejs22.x": "", "nodejs24.x": client, java17: "" },
  };
  const { base } = recipes(inputs)["runtime/nodejs24.x"] ?? {};
  if (base === undefined) throw new Error("the image of nodejs24.x stands on nothing");
  return base;
}

/** The emulator's folder in the cache, by the version of the package that it is from. */
const emulator = (cacheDir: string, logFile: string): Promise<string> =>
  kept(join(cacheDir, "bench", SAM_CLI.replace("==", "-")), async (unfinished) => {
    await ensureProgram(["python3", "-m", "pip", "--version"], "python3-pip", logFile);
    const work = await mkdtemp(join(tmpdir(), "kappa-bench-"));
    try {
      const pip = ["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"];
      await run([...pip, "--target", work, SAM_CLI], { logFile });
      await mkdir(unfinished, { recursive: true });
      await copyFile(join(work, "samcli/local/rapid", EMULATOR), join(unfinished, EMULATOR));
      await chmod(join(unfinished, EMULATOR), 0o755);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
