import { chmod, copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../files.ts";

const quoted = (text: string) => JSON.stringify(text); // TOML's basic strings escape like JSON's

/** podman's configuration (containers.conf(5)): everything in a folder of our own, so that the machine's podman never meets ours. */
export const containersConf = (folder: string) => `[containers]
log_driver = "k8s-file"
# A node is a container: what limits its processes is its kubelet. With podman's 2,048 it ends at some seventy pods.
pids_limit = 0

[network]
network_backend = "netavark"
network_config_dir = ${quoted(join(folder, "networks"))}

[engine]
runtime = "kappa-runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
static_dir = ${quoted(join(folder, "root", "libpod"))}
tmp_dir = ${quoted(join(folder, "tmp"))}
volume_path = ${quoted(join(folder, "root", "volumes"))}

[engine.runtimes]
kappa-runc = [${quoted(join(folder, "oci-runtime"))}]
`;

/** podman's storage configuration (containers-storage.conf(5)). */
export const storageConf = (folder: string) => `[storage]
driver = "overlay"
graphroot = ${quoted(join(folder, "root"))}
runroot = ${quoted(join(folder, "run"))}
`;

/** Writes the configuration and returns the environment in which podman uses it. */
export async function writePodmanConfig(folder: string): Promise<Record<string, string>> {
  await mkdir(folder, { recursive: true });
  const env = podmanEnvironment(folder);
  await writeWhole(env.CONTAINERS_CONF, containersConf(folder));
  await writeWhole(env.CONTAINERS_STORAGE_CONF, storageConf(folder));
  // A copy: the checkout that it comes from may be gone before the cluster is.
  const runtime = join(folder, "oci-runtime");
  await copyFile(join(import.meta.dirname, "oci-runtime.sh"), runtime);
  await chmod(runtime, 0o755);
  return env;
}

/** The environment in which podman uses the configuration in this folder. */
export function podmanEnvironment(folder: string) {
  return { CONTAINERS_CONF: join(folder, "containers.conf"), CONTAINERS_STORAGE_CONF: join(folder, "storage.conf") };
}
