/**
 * What every image consists of. Images are chains: a root file system from Debian's packages, then layers that change ever more
 * often. The tag of each is the hash of everything it is made of, so what did not change is found, not built.
 */
import { createHash } from "node:crypto";
import type { Bundle } from "../build.ts";

/** A root file system made of Debian packages. */
export interface RootfsRecipe {
  kind: "rootfs";
  /** Repository of the image, without tag. */
  repository: string;
  /** `extract` unpacks the packages and runs none of their scripts; `essential` installs them onto Debian's Essential set. */
  variant: "extract" | "essential";
  packages: readonly string[];
  /** Files of the packages that are left out, as patterns of dpkg's `path-exclude`. */
  excluded?: readonly string[];
  /** The user that processes run as: name, numeric id of user and group. */
  user: { name: string; id: number };
  /** Directories made for mounts. */
  directories: readonly string[];
}

/** One Containerfile on top of another image (build argument `BASE`), or on nothing. */
export interface LayerRecipe {
  kind: "layer";
  repository: string;
  /** Stands before the hash in the tag, for people. */
  version?: string;
  base?: Recipe;
  /** Relative to the checkout. */
  containerfile: string;
  /** Build context: name there → file or directory on this machine (absolute, or relative to the checkout). */
  context: Record<string, string>;
}

export type Recipe = RootfsRecipe | LayerRecipe;

/** Debian's release of every root file system. */
export const DEBIAN = "bookworm";

/** What the recipes need from this machine: paths. */
export interface Inputs {
  /** Node's binary and its licence. */
  node: string;
  nodeLicence: string;
  natsServer: string;
  operator: Bundle;
  agent: Bundle;
  /** Runtime identifier → directory with the language's runtime client. */
  runtimeClients: Record<string, string>;
}

/** The images that Kappa runs from. `images` by name: `operator`, `nats`, and one `runtime/<identifier>` per language. */
export function recipes(inputs: Inputs): Record<string, LayerRecipe> {
  return {
    operator: operator(inputs),
    nats: nats(inputs),
    "runtime/python3.11": python311(inputs),
    "runtime/nodejs22.x": nodejs22(inputs),
    "runtime/nodejs24.x": nodejs24(inputs),
    "runtime/java17": java17(inputs),
    "runtime/provided.al2023": provided(inputs),
  };
}

/** Version of NATS's server, as the chart and the tag name it. */
export const NATS_VERSION = "2.15.2";

const operator = ({ node, nodeLicence, operator: bundle }: Inputs): LayerRecipe => ({
  kind: "layer",
  repository: "kappa/operator",
  containerfile: "operator/images/Containerfile",
  context: { "main.mjs": bundle.code, "LICENCES.txt": bundle.licences },
  base: {
    kind: "layer",
    repository: "kappa/operator-base",
    containerfile: "operator/images/base/Containerfile",
    context: { node, "NODE-LICENCE.txt": nodeLicence },
    base: {
      kind: "rootfs",
      repository: "kappa/operator-rootfs",
      variant: "extract",
      // Node's shared libraries. No shell, nothing to run but Node; it brings its own CA certificates and time zones.
      packages: ["base-files", "libc6", "libstdc++6"],
      user: { name: "nonroot", id: 65532 },
      directories: [],
    },
  },
});

const nats = ({ natsServer }: Inputs): LayerRecipe => ({
  kind: "layer",
  repository: "kappa/nats",
  version: NATS_VERSION,
  containerfile: "operator/images/nats/Containerfile",
  context: { "nats-server": natsServer },
});

/**
 * A runtime's image: packages, Node and init, the language's client, the agent. Runtimes that need no packages of their own stand on
 * the same base, which a node then holds once.
 */
const runtime = (
  identifier: string,
  packages: readonly string[],
  client: Record<string, string>,
  inputs: Inputs,
  excluded: readonly string[] = [],
): LayerRecipe => ({
  kind: "layer",
  repository: `kappa/runtime-${identifier}`,
  containerfile: "runtime-images/agent/Containerfile",
  context: { "agent.cjs": inputs.agent.code, "LICENCES.txt": inputs.agent.licences },
  base: {
    kind: "layer",
    repository: `kappa/language-${identifier}`,
    containerfile: `runtime-images/${identifier}/Containerfile`,
    context: client,
    base: {
      kind: "layer",
      repository: packages.length === 0 ? "kappa/base" : `kappa/base-${identifier}`,
      containerfile: "runtime-images/base/Containerfile",
      context: { node: inputs.node, "NODE-LICENCE.txt": inputs.nodeLicence },
      base: {
        kind: "rootfs",
        repository: packages.length === 0 ? "kappa/rootfs" : `kappa/rootfs-${identifier}`,
        variant: "essential",
        // usr-is-merged: what else brings /bin and /lib into /usr needs all of Perl, 55 MB.
        packages: ["ca-certificates", "catatonit", "libstdc++6", "tzdata", "usr-is-merged", ...packages],
        excluded,
        // Lambda's name and number.
        user: { name: "sbx_user1051", id: 993 },
        directories: ["/var/task", "/opt"],
      },
    },
  },
});

const python311 = (inputs: Inputs): LayerRecipe =>
  runtime(
    "python3.11",
    ["media-types", "python3.11"],
    { python: clientOf("python3.11", inputs), ...startFiles("python3.11", ["bootstrap", "zygote", "zygote.py"]) },
    inputs,
  );

/** @returns a context: files of a folder of runtime-images under their own names */
const startFiles = (folder: string, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, `runtime-images/${folder}/${name}`]));

const NODEJS_START = startFiles("nodejs", ["bootstrap", "preload.cjs", "warm-up.cjs", "zygote", "zygote.mjs"]);

const nodejs22 = (inputs: Inputs): LayerRecipe => {
  const client = clientOf("nodejs22.x", inputs);
  const context = { runtime: `${client}/runtime`, lang: `${client}/lang`, "start.mjs": "runtime-images/nodejs22.x/start.mjs" };
  return runtime("nodejs22.x", [], { ...context, ...NODEJS_START }, inputs);
};

const nodejs24 = (inputs: Inputs): LayerRecipe => {
  const context = {
    runtime: `${clientOf("nodejs24.x", inputs)}/runtime`,
    "compile-sdk.cjs": "runtime-images/nodejs24.x/compile-sdk.cjs",
  };
  return runtime("nodejs24.x", [], { ...context, ...NODEJS_START }, inputs);
};

const java17 = (inputs: Inputs): LayerRecipe => {
  const files = Object.fromEntries(["bootstrap", "zygote", "build"].map((name) => [name, `runtime-images/java17/${name}`]));
  // The image has an archive of classes of its own.
  const replaced = ["/usr/lib/jvm/*/lib/server/classes*.jsa"];
  return runtime("java17", ["openjdk-17-jre-headless"], { lib: clientOf("java17", inputs), ...files }, inputs, replaced);
};

/** What a shell script needs to speak with the Runtime API: bash and coreutils are Essential. */
const provided = (inputs: Inputs): LayerRecipe =>
  runtime("provided.al2023", ["curl"], { bootstrap: "runtime-images/provided.al2023/bootstrap" }, inputs);

function clientOf(runtime: string, { runtimeClients }: Inputs): string {
  const client = runtimeClients[runtime];
  if (client === undefined) throw new Error(`no runtime client was prepared for ${runtime}`);
  return client;
}

/** Digest of one input: text is hashed as it is, a path through {@link hashRecipe}'s `digest`. */
export type Digest = (path: string) => Promise<string>;

/** Tag of a recipe: hash of all that goes into its image, with that of its base. `digest` gives the content hash of a file or directory. */
export async function hashRecipe(recipe: Recipe, digest: Digest): Promise<string> {
  const hash = createHash("sha256");
  const add = (...parts: string[]): void => {
    for (const part of parts) hash.update(`${part.length}:`).update(part);
  };
  if (recipe.kind === "rootfs") {
    add("rootfs", DEBIAN, recipe.variant, ...[...recipe.packages].sort(), recipe.user.name, String(recipe.user.id), ...recipe.directories);
    add(...(recipe.excluded ?? []));
    add(await digest(FINISH_SCRIPT), await digest(ROOTFS_CONTAINERFILE));
  } else {
    add("layer", recipe.base === undefined ? "scratch" : await hashRecipe(recipe.base, digest), await digest(recipe.containerfile));
    for (const name of Object.keys(recipe.context).sort()) add(name, await digest(recipe.context[name] ?? ""));
  }
  return hash.digest("hex").slice(0, 12);
}

export const FINISH_SCRIPT = "scripts/images/rootfs/finish.sh";
export const ROOTFS_CONTAINERFILE = "scripts/images/rootfs/Containerfile";

/** Repository and tag. */
export const reference = (recipe: Recipe, hash: string): string =>
  `${recipe.repository}:${recipe.kind === "layer" && recipe.version !== undefined ? `${recipe.version}-${hash}` : hash}`;
