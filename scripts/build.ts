/**
 * Bundles Kappa's processes into single files, as they go into images:
 *
 *     dist/operator/main.mjs    controller, gateway and bootstrap job (operator/src/main.ts)
 *     dist/agent/agent.cjs      the agent of every environment (runtime-images/agent/src/main.ts)
 *
 *     node scripts/build.ts
 *
 * A bundle starts several times faster than the same modules loaded one by one, and an image needs no node_modules.
 */
import { realpathSync } from "node:fs";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build } from "esbuild";
import { licencesOf } from "./images/licences.ts";
import { slimKubernetesClient } from "./images/slim-kubernetes-client.ts";
import { slimWebSocket } from "./images/slim-websocket.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Node's major version in the images, which is the one of the npm package `node`. */
const TARGET = "node24";

/** Bundled CommonJS packages call `require` for Node's own modules; an ES module has none unless it makes one. */
const REQUIRE_IN_ESM = 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';

const common = {
  bundle: true,
  platform: "node",
  target: TARGET,
  absWorkingDir: root,
  // All licences go into a file beside the bundle; the comments are a part of them only.
  legalComments: "none",
  logLevel: "warning",
  // `ws` tries these native add-ons and does without; the constants below let the bundler drop the attempts.
  define: { "process.env.WS_NO_BUFFER_UTIL": '"1"', "process.env.WS_NO_UTF_8_VALIDATE": '"1"' },
} satisfies BuildOptions;

/** Where the bundles go, relative to the checkout. */
const BUNDLES = { operator: "dist/operator/main.mjs", agent: "dist/agent/agent.cjs" } as const;

/** A bundle and the licences of the packages in it: absolute paths. */
export interface Bundle {
  code: string;
  licences: string;
}

/** Builds both bundles. */
export async function buildBundles(): Promise<{ operator: Bundle; agent: Bundle }> {
  const [operator, agent] = await Promise.all([
    // Names and line structure are kept: a stack trace in a log has to be readable without a source map.
    bundle("operator/src/main.ts", BUNDLES.operator, {
      format: "esm",
      banner: { js: REQUIRE_IN_ESM },
      keepNames: true,
      plugins: [slimKubernetesClient],
    }),
    // Every cold start without a pool pays for loading this one: Node loads CommonJS without its loader of ES modules. Names stay,
    // for stack traces.
    bundle("runtime-images/agent/src/main.ts", BUNDLES.agent, {
      format: "cjs",
      minifySyntax: true,
      minifyWhitespace: true,
      plugins: [slimWebSocket],
    }),
  ]);
  return { operator, agent };
}

async function bundle(entryPoint: string, outfile: string, options: BuildOptions): Promise<Bundle> {
  const { metafile } = await build({ ...common, ...options, entryPoints: [entryPoint], outfile, metafile: true });
  const licences = join(root, `${outfile}.licences.txt`);
  await writeFile(licences, await licencesOf(Object.keys(metafile.inputs), root));
  return { code: join(root, outfile), licences };
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  for (const [name, { code }] of Object.entries(await buildBundles())) {
    console.log(`${name}: ${code.slice(root.length)}, ${Math.ceil((await stat(code)).size / 1024)} KiB`);
  }
}
