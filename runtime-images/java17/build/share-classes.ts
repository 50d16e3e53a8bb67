/**
 * Makes the archive of classes (class data sharing) that Java maps instead of loading, verifying and linking a thousand classes at each
 * start: runs the real client with real handlers against a Runtime API of its own, and archives what was loaded. Runs while the image
 * is built, on the Node that is in it, after compile.ts:
 *
 *     node share-classes.ts /var/runtime
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, realpath, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Writable } from "node:stream";
import { promisify } from "node:util";
import { commandLine } from "./command-line.ts";

const run = promisify(execFile);

const HANDLERS = ["Training$Untyped", "Training$Typed", "Training$Streamed"];
const ZYGOTE = "dev.kappa.runtime.Zygote";
const EVENT = { text: "ä", number: 1, fraction: 1.5, list: ["a"], map: { a: [1, null, 2.5, true] } };
/** The second one fails. */
const EVENTS = [{ ...EVENT, nested: EVENT, events: [EVENT] }, { flag: true }].map((event) => JSON.stringify(event));

/** A run takes a second; one that hangs must not hold up the build. */
const LIMIT_MS = 120_000;

/** @param runtime folder laid out as /var/runtime; gets `lib/runtime.jsa` */
export async function shareClasses(runtime: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "share-classes-"));
  try {
    const jars = (await readdir(join(runtime, "lib"))).filter((name) => name.endsWith(".jar")).map((name) => join(runtime, "lib", name));
    // Java compares a jar's time with the one that the archive recorded, unless that was 0; layers of an image lose their times.
    for (const jar of jars) await utimes(jar, 0, 0);
    const [java = "", ...options] = await commandLine(runtime, work);
    const list = join(work, "classes.lst");
    const training = join(runtime, "training");
    const loaded: string[] = [await readFile(join(dirname(await realpath(java)), "../lib/classlist"), "utf8")];
    for (const handler of HANDLERS) {
      // Before the options, so that a later one that the list needs otherwise does not count.
      await train([java, `-XX:DumpLoadedClassList=${list}`, ...options.slice(0, -1), handler], training);
      loaded.push(await readFile(list, "utf8"));
    }
    const jvm = options.slice(0, -2);
    await train([java, `-XX:DumpLoadedClassList=${list}`, ...jvm, ZYGOTE], training, HANDLERS[0]);
    loaded.push(await readFile(list, "utf8"));
    await writeFile(list, sharedClasses(loaded));
    await run(java, ["-Xshare:dump", `-XX:SharedClassListFile=${list}`, ...without(jvm, "-Xshare:auto")], { maxBuffer: 2 ** 26 });
    // Refuses to start when the archive does not fit.
    await run(java, ["-Xshare:on", ...without(jvm, "-Xshare:auto"), "-version"]);
  } finally {
    await rm(work, { recursive: true });
  }
}

const without = (words: readonly string[], unwanted: string): string[] => words.filter((word) => word !== unwanted);

/**
 * Runs the client until it has answered all events.
 * @param ordered the handler that a zygote is told
 */
async function train(command: readonly string[], cwd: string, ordered?: string): Promise<void> {
  let finish = (): void => {};
  const api = runtimeApi(() => finish());
  api.listen(0, "127.0.0.1");
  await once(api, "listening");
  const [file = "", ...args] = command;
  const env = { AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(api.address() as AddressInfo).port}` };
  const client = spawn(file, args, { cwd, env, stdio: ["ignore", "ignore", "inherit", "pipe"], timeout: LIMIT_MS });
  if (ordered !== undefined) order(client, { ...env, _HANDLER: ordered });
  // Java writes the list as it exits.
  let finished = false;
  finish = () => {
    finished = true;
    client.kill("SIGTERM");
  };
  await once(client, "exit");
  api.closeAllConnections();
  api.close();
  if (!finished) throw new Error(`${command.at(-1)} ended before it had answered every event`);
}

/** Whether it is ready does not matter: it reads the order when it is. */
function order(zygote: ChildProcess, environment: Record<string, string>): void {
  const socket = zygote.stdio[3];
  if (!(socket instanceof Writable)) throw new Error("the zygote has no descriptor 3");
  const json = Buffer.from(JSON.stringify({ environment }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  socket.write(Buffer.concat([length, json]));
}

/** As much of the Runtime API as the client needs. */
function runtimeApi(onAllAnswered: () => void): Server {
  let given = 0;
  return createServer((request, response) => {
    request.resume();
    request.once("end", () => {
      if (!request.url?.endsWith("/next")) {
        response.writeHead(202, { "Content-Type": "application/json" }).end("{}");
        return;
      }
      const event = EVENTS[given++];
      if (event === undefined) {
        onAllAnswered();
        return;
      }
      const headers = {
        "Content-Type": "application/json",
        "Content-Length": Buffer.byteLength(event),
        "Lambda-Runtime-Aws-Request-Id": `event-${given}`,
        "Lambda-Runtime-Deadline-Ms": String(Date.now() + 60_000),
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000001:function:training",
        "Lambda-Runtime-Trace-Id": "Root=1-00000001-000000000000000000000001;Sampled=0",
      };
      response.writeHead(200, headers).end(event);
    });
  });
}

/**
 * One list of what several runs have loaded. Not the functions' own classes, which other class loaders than Java's have loaded
 * (`source:`); numbers of classes (`id:`) are for these only and differ between runs.
 */
function sharedClasses(lists: readonly string[]): string {
  const lines = lists
    .flatMap((list) => list.split("\n"))
    .filter((line) => line !== "" && !line.startsWith("#") && !line.includes("source:") && !/\bTraining\b/.test(line))
    .map((line) => line.replace(/ id: \d+$/, ""));
  return `${[...new Set(lines)].join("\n")}\n`;
}

const [, self, runtime] = process.argv;
if (self === import.meta.filename && runtime !== undefined) await shareClasses(runtime);
