import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "./engine.ts";
import { ClusterError } from "./failure.ts";
import { writeWhole } from "./files.ts";
import type { ClusterImages } from "./images/images.ts";
import { AUDIT_POLICY_DOCUMENT, kindConfiguration } from "./kind-config.ts";
import type { Paths } from "./paths.ts";
import { CommandError } from "./run.ts";
import { CLUSTER_NAME, type Settings } from "./settings.ts";

/** kind's configuration for these settings; with `images` their node image and archives, without the published node image. */
export function configurationFor(
  settings: Settings,
  paths: Paths,
  images: Pick<ClusterImages, "nodeImage" | "controlPlane" | "everyNode"> | undefined,
): string {
  return kindConfiguration({
    ports: settings.ports,
    image: images?.nodeImage ?? settings.nodeImage,
    cgroupfs: images !== undefined,
    auditPolicyFile: paths.auditPolicy,
    auditFolder: paths.auditFolder,
    exchangeFolder: paths.exchange,
    archives: { controlPlane: images ? [images.controlPlane] : [], everyNode: images ? [images.everyNode] : [] },
  });
}

/** Creates nodes and control plane. Nodes are not ready yet where kind brings no CNI. */
export async function createKindCluster(engine: Engine, paths: Paths, configuration: string): Promise<void> {
  await mkdir(paths.auditFolder, { recursive: true });
  await mkdir(paths.exchange, { recursive: true });
  await writeWhole(paths.auditPolicy, JSON.stringify(AUDIT_POLICY_DOCUMENT));
  await writeWhole(paths.kindConfig, configuration);
  const logFile = join(paths.logs, "kind.log");
  await writeFile(logFile, "");
  const argv = [
    join(paths.bin, "kind"),
    "create",
    "cluster",
    "--name",
    CLUSTER_NAME,
    "--config",
    paths.kindConfig,
    "--kubeconfig",
    paths.kubeconfig,
    "--retain",
  ];
  try {
    await engine.inside(argv, { env: engine.kindEnv, logFile, timeoutMs: 8 * 60_000 });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new ClusterError(
      `kind could not create the cluster: ${error.message}`,
      "look into the log named above, then run it again: the half-made cluster is replaced",
      { cause: error },
    );
  }
}
