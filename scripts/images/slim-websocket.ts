import type { Plugin } from "esbuild";

const NAMESPACE = "slim-websocket";

/** What stands for modules that `ws` requires at once and the agent never uses. */
const STAND_INS: Readonly<Record<string, string>> = {
  // A connection to a gateway is a plain one inside the cluster (`ws:`).
  https: "module.exports = {};",
  tls: "module.exports = {};",
  // It is off (connection.ts); only its name is compared with what a server offers.
  "./permessage-deflate": 'module.exports = { extensionName: "permessage-deflate" };',
};

/**
 * Keeps of `ws` only its client without TLS and compression: the server, its stream, and Node's parts for TLS and HTTPS cost each
 * start of an agent some eight milliseconds of CPU, and a megabyte.
 */
export const slimWebSocket: Plugin = {
  name: NAMESPACE,
  setup(build) {
    build.onResolve({ filter: /^ws$/ }, async ({ kind, resolveDir, pluginData }) => {
      if (pluginData === NAMESPACE) return undefined;
      const { path } = await build.resolve("ws/package.json", { kind, resolveDir, pluginData: NAMESPACE });
      return { path: "client", namespace: NAMESPACE, pluginData: path.slice(0, -"/package.json".length) };
    });
    build.onResolve({ filter: /^(https|tls|\.\/permessage-deflate)$/ }, ({ path, importer }) =>
      importer.includes("/node_modules/ws/") ? { path, namespace: NAMESPACE } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ path, pluginData }) => ({
      contents: STAND_INS[path] ?? 'export { default as WebSocket } from "./lib/websocket.js";',
      resolveDir: pluginData,
    }));
  },
};
