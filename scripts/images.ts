/**
 * Builds the images of Kappa without a registry, each part only when something in it changed, and exports them as archives that
 * a cluster can load (`kind load image-archive`).
 *
 *     node scripts/images.ts [--refresh] [--record]
 *
 * `--refresh` fetches Debian's packages and the languages' anew; otherwise those of the first build are kept.
 * `--record` writes the sizes down for docs/reference/images.md.
 */
import { realpathSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeFailure } from "../e2e/cluster/failure.ts";
import { currentPartsFolder } from "../e2e/cluster/parts.ts";
import { type Settings, settingsFrom } from "../e2e/cluster/settings.ts";
import { buildBundles } from "./build.ts";
import { type BuiltImage, ImageBuilder, mebibytes } from "./images/builder.ts";
import { contentsOf } from "./images/contents.ts";
import { imageEngine } from "./images/engine.ts";
import { type Inputs, recipes } from "./images/recipes.ts";
import { javaRuntimeClient } from "./images/runtime-clients/java.ts";
import { nodejsRuntimeClients } from "./images/runtime-clients/nodejs.ts";
import { pythonRuntimeClient } from "./images/runtime-clients/python.ts";
import { recordSizes } from "./images/sizes.ts";

const checkout = fileURLToPath(new URL("..", import.meta.url));

/**
 * Makes sure that an archive of every image exists and is what was written.
 * @param note gets a line for each thing that takes time
 */
export async function buildImages(settings: Pick<Settings, "cacheDir" | "engine">, note: (line: string) => void): Promise<BuiltImage[]> {
  const folder = join(settings.cacheDir, "images");
  await mkdir(folder, { recursive: true });
  const logFile = join(folder, "build.log");
  await rm(logFile, { force: true });
  const engine = await imageEngine(settings.engine, folder, logFile);
  const bundles = await buildBundles();
  const clients = join(folder, "clients");
  const inputs: Inputs = {
    node: join(checkout, "node_modules/node/bin/node"),
    nodeLicence: join(checkout, `node_modules/node/node_modules/node-linux-${process.arch}/LICENSE`),
    natsServer: join(process.env.KAPPA_PARTS || currentPartsFolder(settings.cacheDir), "nats-server"),
    operator: bundles.operator,
    agent: bundles.agent,
    runtimeClients: {
      "python3.11": await pythonRuntimeClient(join(checkout, "runtime-images/python3.11/requirements.txt"), clients, logFile),
      ...(await nodejsRuntimeClients(join(checkout, "runtime-images/nodejs"), clients, logFile)),
      java17: await javaRuntimeClient(join(checkout, "runtime-images/java17/client.json"), clients, logFile),
    },
  };
  const layers = join(folder, "layers");
  const builder = new ImageBuilder({ engine, checkout, folder, logFile, note, contentsOf: (archive) => contentsOf(archive, layers) });
  const images: BuiltImage[] = [];
  for (const [name, recipe] of Object.entries(recipes(inputs))) images.push(await builder.archive(name, recipe));
  return images;
}

/** Forgets the root file systems and runtime clients, so that the next build fetches them anew. */
async function forgetPackages(settings: Pick<Settings, "cacheDir">): Promise<void> {
  for (const name of ["rootfs", "clients", "storage", "archives"])
    await rm(join(settings.cacheDir, "images", name), { recursive: true, force: true });
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const settings = settingsFrom(process.env);
    if (process.argv.includes("--refresh")) await forgetPackages(settings);
    const images = await buildImages(settings, (line) => console.error(line));
    if (process.argv.includes("--record")) await recordSizes(images);
    const sizes = (image: BuiltImage): string =>
      `${mebibytes(image.compressedBytes)} MiB compressed, ${mebibytes(image.unpackedBytes)} MiB unpacked`;
    for (const image of images)
      console.log(`${image.name}: ${image.reference}, ${sizes(image)}, ${image.built ? "built" : "unchanged"}, ${image.archive}`);
  } catch (error) {
    console.error(describeFailure(error));
    process.exitCode = 1;
  }
}
