/** The real Node.js runtimes outside their images: start-up files, AWS's runtime clients and SDK made by npm in the cache. */
import { chmod, copyFile, mkdtemp, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nodejsRuntimeClients } from "../../../scripts/images/runtime-clients/nodejs.ts";

const SOURCES = fileURLToPath(new URL("../..", import.meta.url));

export type NodejsRuntime = "nodejs22.x" | "nodejs24.x";

/** @returns a folder laid out as /var/runtime; remove it when done */
export async function nodejsRuntime(runtime: NodejsRuntime): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "kappa", "images");
  const folder = await mkdtemp(join(tmpdir(), "kappa-nodejs-"));
  const clients = await nodejsRuntimeClients(join(SOURCES, "nodejs"), join(cache, "clients"), join(folder, "build.log"));
  const client = join(clients[runtime], "runtime");
  for (const name of await readdir(client)) {
    // Modules resolve their links: the client has to lie where it is.
    if (name === "node_modules") await symlink(join(client, name), join(folder, name));
    else await copyFile(join(client, name), join(folder, name));
  }
  for (const name of ["preload.cjs", "warm-up.cjs", "zygote", "zygote.mjs"])
    await copyFile(join(SOURCES, "nodejs", name), join(folder, name));
  if (runtime === "nodejs22.x") await copyFile(join(SOURCES, runtime, "start.mjs"), join(folder, "start.mjs"));
  const ownNode = join(clients[runtime], "lang/bin/node");
  const node = (await stat(ownNode).catch(() => undefined)) ? ownNode : process.execPath;
  const bootstrap = await readFile(join(SOURCES, "nodejs/bootstrap"), "utf8");
  await writeFile(join(folder, "bootstrap"), bootstrap.replace("/var/lang/bin/node", node));
  await chmod(join(folder, "bootstrap"), 0o755);
  return folder;
}
