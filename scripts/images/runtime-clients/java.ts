import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unzipSync } from "fflate";
import { z } from "zod";
import { ClusterError } from "../../../e2e/cluster/failure.ts";
import { fileSha256, textSha256 } from "../../../e2e/cluster/files.ts";
import { CommandError, run } from "../../../e2e/cluster/run.ts";
import { contentDigest } from "../files.ts";
import { ensureProgram } from "../programs.ts";
import { kept } from "./kept.ts";

const COORDINATE = /^[\w.-]+$/;

/** A list of jars: Maven's coordinates, and the digest. */
const Artifacts = z.array(
  z.object({
    group: z.string().regex(COORDINATE),
    artifact: z.string().regex(COORDINATE),
    version: z.string().regex(COORDINATE),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
);

type Artifact = z.infer<typeof Artifacts>[number];

/** @throws ZodError when the text is no such list */
export const parseArtifacts = (text: string): Artifact[] => Artifacts.parse(JSON.parse(text));

/** Lambda's Java runtimes name the client's native module so; the jar has it for other systems too. */
const NATIVE_MODULE = `libaws-lambda-jni.linux-${process.arch === "arm64" ? "aarch_64" : "x86_64"}.so`;

/**
 * AWS's runtime client for Java and what it needs, from Maven; kept by the content of the list.
 * @param list path of the committed list of its jars: see {@link parseArtifacts}
 * @returns the directory to be /var/runtime/lib: jars, and the native module, which the client would unpack at each start
 * @throws ClusterError when there is no Maven, it cannot get a jar, or gets another one than the list says
 */
export async function javaRuntimeClient(list: string, folder: string, logFile: string): Promise<string> {
  const artifacts = parseArtifacts(await readFile(list, "utf8"));
  const key = textSha256(process.arch, ...(await Promise.all([list, import.meta.filename].map(contentDigest)))).slice(0, 12);
  return await kept(join(folder, "java17", key), async (unfinished) => {
    const work = join(unfinished, "work");
    await mkdir(work, { recursive: true });
    await download(artifacts, work, logFile);
    for (const artifact of artifacts) {
      const jar = join(work, jarOf(artifact));
      const sha256 = await fileSha256(jar);
      if (sha256 !== artifact.sha256)
        throw new ClusterError(
          `Maven brought another ${jarOf(artifact)} than ${list} says: its SHA-256 is ${sha256}`,
          "find out where it came from; if the list is to change, change version and digest together",
        );
      await copyFile(jar, join(unfinished, jarOf(artifact)));
      await chmod(join(unfinished, jarOf(artifact)), 0o644);
    }
    await rm(work, { recursive: true });
    await unpackNativeModule(artifacts, unfinished);
  });
}

const jarOf = ({ artifact, version }: Artifact): string => `${artifact}-${version}.jar`;

async function download(artifacts: readonly Artifact[], folder: string, logFile: string): Promise<void> {
  await ensureProgram(["mvn", "--version"], "maven", logFile);
  await writeFile(join(folder, "pom.xml"), projectOf(artifacts));
  try {
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
    // Only what is listed: what that would bring along is listed too, as far as it is needed.
    const options = ["-DexcludeTransitive=true", `-DoutputDirectory=${folder}`];
    await run(["mvn", "--batch-mode", "--quiet", goal, ...options], { cwd: folder, logFile });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new ClusterError(
      `the runtime client for Java could not be downloaded: ${error.message}`,
      "check that Maven reaches its repository",
      { cause: error },
    );
  }
}

/** A project that depends on the artifacts. */
export function projectOf(artifacts: readonly Artifact[]): string {
  const dependencies = artifacts.map(
    ({ group, artifact, version }) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  );
  return [
    "<project>",
    "<modelVersion>4.0.0</modelVersion>",
    "<groupId>kappa</groupId><artifactId>runtime-java</artifactId><version>0</version>",
    `<dependencies>${dependencies.join("")}</dependencies>`,
    "</project>",
  ].join("\n");
}

async function unpackNativeModule(artifacts: readonly Artifact[], folder: string): Promise<void> {
  const name = `jni/${NATIVE_MODULE}`;
  for (const artifact of artifacts) {
    const bytes = unzipSync(await readFile(join(folder, jarOf(artifact))), { filter: (file) => file.name === name })[name];
    if (bytes === undefined) continue;
    await mkdir(join(folder, "jni"));
    await writeFile(join(folder, name), bytes);
    return;
  }
  throw new ClusterError(`none of the runtime client's jars has ${name}`, "choose a version that has it");
}
