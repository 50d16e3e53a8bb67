/** One program of this folder: the package that a function gets, the same package unpacked here, and both run with the same event. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { InvokeCommand, type InvokeCommandInput, type LambdaClient } from "@aws-sdk/client-lambda";
import { unzipSync } from "fflate";
import { must } from "../../support/cluster.ts";

export const programFolder = (name: string): string => join(import.meta.dirname, name);

/** A folder for what one test file makes; to be removed by {@link removeFolder}. */
export const newFolder = (): string => mkdtempSync(join(tmpdir(), "kappa-programs-"));
export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true });

/** Unpacks a package as `/var/task` holds it, into `folder/name`; returns that path. */
export function unpacked(zip: Uint8Array, folder: string, name: string): string {
  const target = join(folder, name);
  for (const [path, bytes] of Object.entries(unzipSync(zip))) {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    // Executable, all of them: fflate does not say which ones are.
    writeFileSync(join(target, path), bytes, { mode: 0o755 });
  }
  return target;
}

export interface RawAnswer {
  functionError: string | undefined;
  requestId: string | undefined;
  /** The answer's bytes as they came. */
  text: string;
  /** The last lines of the environment's log. */
  log: string;
}

/** Invokes a function with an event of any text and gives the answer as it came, with the log's tail; `trace` is the trace's header. */
export async function invokeRaw(
  client: LambdaClient,
  name: string,
  event: string,
  { trace, ...more }: Partial<InvokeCommandInput> & { trace?: string } = {},
): Promise<RawAnswer> {
  const command = new InvokeCommand({ FunctionName: name, Payload: event, LogType: "Tail", ...more });
  command.middlewareStack.add(
    (next) => (args) => {
      if (trace !== undefined) (args.request as { headers: Record<string, string> }).headers["x-amzn-trace-id"] = trace;
      return next(args);
    },
    { step: "build" },
  );
  const output = await client.send(command);
  return {
    functionError: output.FunctionError,
    requestId: output.$metadata.requestId,
    text: Buffer.from(output.Payload ?? []).toString(),
    log: Buffer.from(output.LogResult ?? "", "base64").toString(),
  };
}

/** The handler `function` of a JavaScript module, run here with an event on standard input: the JSON that it returns. */
export function nodeHere(module: string, event: string, name = "handler"): Promise<string> {
  const script =
    "import(process.argv[1]).then(async (m) => process.stdout.write(JSON.stringify(await m[process.argv[2]](JSON.parse(require('fs').readFileSync(0, 'utf8'))))))";
  return must(process.execPath, ["-e", script, module, name], { input: event, cwd: dirname(module) });
}
