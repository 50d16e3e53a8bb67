/**
 * Loaded before the runtime client, in worker threads and forked processes too.
 *
 * Lets `import` find packages in the folders of NODE_PATH, as `require` does: on Lambda both find what the runtime and layers bring
 * (announcement of the Node.js 18 runtime, "ES module resolution using NODE_PATH"). In the module's own thread, so nothing is slower
 * to start.
 */
"use strict";

const { createRequire, enableCompileCache, registerHooks } = require("node:module");
const { basename, dirname, join } = require("node:path");
const { pathToFileURL } = require("node:url");

// What V8 compiled of the SDK when the image was built: a fifth of the time that the SDK takes to load. V8 takes it on the same kind of
// processor only, and the folder is not writable: then, and for all other modules, nothing changes.
enableCompileCache(join(__dirname, "compile-cache"));

/** Relative, absolute, a URL, or one of the package's own `#` imports: NODE_PATH has no part in these. */
const NOT_A_PACKAGE = /^(\.{0,2}\/|\.{1,2}$|#|[a-z][a-z0-9+.-]*:)/i;

/** A module beside each `node_modules`, from which Node's own algorithm looks into it. */
const importers = (process.env.NODE_PATH ?? "")
  .split(":")
  .filter((folder) => basename(folder) === "node_modules")
  .map((folder) => pathToFileURL(join(dirname(folder), "importer.mjs")).href);

/** Looks into the other folders of NODE_PATH, which hold modules without a `node_modules` around them. */
const { resolve: resolveCommonJs } = createRequire("/");

registerHooks({
  resolve(specifier, context, nextResolve) {
    try {
      return nextResolve(specifier, context);
    } catch (error) {
      if (error?.code !== "ERR_MODULE_NOT_FOUND" || !context.conditions.includes("import") || NOT_A_PACKAGE.test(specifier)) throw error;
      return foundByNodePath(specifier, context, nextResolve) ?? rethrow(error);
    }
  },
});

function foundByNodePath(specifier, context, nextResolve) {
  for (const parentURL of importers) {
    const found = unlessMissing(() => nextResolve(specifier, { ...context, parentURL }));
    if (found) return found;
  }
  const path = unlessMissing(() => resolveCommonJs(specifier));
  return path && nextResolve(pathToFileURL(path).href, context);
}

/** The result; undefined where there is no such module. A package that is there but broken says so itself. */
function unlessMissing(resolve) {
  try {
    return resolve();
  } catch (error) {
    if (error?.code === "ERR_MODULE_NOT_FOUND" || error?.code === "MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

function rethrow(error) {
  throw error;
}
