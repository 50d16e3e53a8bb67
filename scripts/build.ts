/**
 * Bundles Kappa's processes into single files, as they go into images:
 *
 *     dist/operator/main.mjs    controller, gateway and bootstrap job (operator/src/main.ts)
 *     dist/agent/agent.mjs      the agent of every environment (runtime-images/agent/src/main.ts)
 *
 *     node scripts/build.ts
 *
 * A bundle starts several times faster than the same modules loaded one by one, and an image needs no node_modules.
 */
import { realpathSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Node's major version in the images, which is the one of the npm package `node`. */
const TARGET = "node24";

/** Bundled CommonJS packages call `require` for Node's own modules; an ES module has none unless it makes one. */
const REQUIRE_IN_ESM = 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';

const common = {
  bundle: true,
  platform: "node",
  target: TARGET,
  format: "esm",
  absWorkingDir: root,
  // Licences of what was bundled are shipped beside the bundle.
  legalComments: "linked",
  logLevel: "warning",
  // `ws` tries these native add-ons and does without; the constants below let the bundler drop the attempts.
  define: { "process.env.WS_NO_BUFFER_UTIL": '"1"', "process.env.WS_NO_UTF_8_VALIDATE": '"1"' },
} satisfies BuildOptions;

/** Where the bundles are, relative to the checkout. */
export const BUNDLES = { operator: "dist/operator/main.mjs", agent: "dist/agent/agent.mjs" } as const;

/** Builds both bundles. @returns their absolute paths */
export async function buildBundles(): Promise<{ operator: string; agent: string }> {
  const operator = join(root, BUNDLES.operator);
  const agent = join(root, BUNDLES.agent);
  await Promise.all([
    // Names and line structure are kept: a stack trace in a log has to be readable without a source map.
    build({ ...common, entryPoints: ["operator/src/main.ts"], outfile: operator, keepNames: true, banner: { js: REQUIRE_IN_ESM } }),
    // Every cold start without a pool pays for parsing this one.
    build({ ...common, entryPoints: ["runtime-images/agent/src/main.ts"], outfile: agent, minify: true, banner: { js: REQUIRE_IN_ESM } }),
  ]);
  return { operator, agent };
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  for (const [name, path] of Object.entries(await buildBundles())) {
    console.log(`${name}: ${path.slice(root.length)}, ${Math.ceil((await stat(path)).size / 1024)} KiB`);
  }
}
