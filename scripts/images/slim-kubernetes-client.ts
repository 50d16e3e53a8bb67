import type { Plugin } from "esbuild";

const CLIENT = "@kubernetes/client-node";
const NAMESPACE = "slim-kubernetes-client";

/**
 * What `@dot-i/k8s-operator` gets when it requires the Kubernetes client. It names the whole client, so a bundler has to keep all
 * of its generated API (16 MB of source, 50 MB of memory in every process), and it uses none: Kappa's OperatorShell overrides
 * everything that talks to the API server. Left are the constructor, which makes a client of the core API and stores it, and reading
 * files.
 */
const WHAT_THE_OPERATOR_GETS = `
export { KubeConfig, loadYaml } from "${CLIENT}";
export class CoreV1Api {}
export class ApiextensionsV1Api {
  constructor() { throw new Error("Kappa registers no custom resource definitions"); }
}
export class Watch {
  constructor() { throw new Error("watches are those of kube/reflector.ts"); }
}
`;

/** Keeps of the Kubernetes client only what is used. */
export const slimKubernetesClient: Plugin = {
  name: NAMESPACE,
  setup(build) {
    build.onResolve({ filter: new RegExp(`^${CLIENT}$`) }, async ({ importer, resolveDir, kind, pluginData }) => {
      if (pluginData === NAMESPACE) return undefined;
      if (importer.includes("@dot-i/k8s-operator")) return { path: CLIENT, namespace: NAMESPACE, pluginData: resolveDir };
      return withoutSideEffects(await build.resolve(CLIENT, { kind, resolveDir, pluginData: NAMESPACE }));
    });
    build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ pluginData }) => ({
      contents: WHAT_THE_OPERATOR_GETS,
      resolveDir: pluginData,
    }));
    // The client's own modules only declare; its package.json does not say so.
    build.onResolve({ filter: /^\./ }, async ({ importer, path, resolveDir, kind, pluginData }) => {
      if (pluginData === NAMESPACE || !importer.includes(`${CLIENT}/dist/`)) return undefined;
      return withoutSideEffects(await build.resolve(path, { kind, resolveDir, importer, pluginData: NAMESPACE }));
    });
  },
};

const withoutSideEffects = <T extends object>(resolved: T): T & { sideEffects: false } => ({ ...resolved, sideEffects: false });
