/** Composition root of the agent: the only reader of the process environment, and the only place that ends the process. */
import { Agent } from "./agent.ts";
import { environmentProcesses } from "./environment/processes.ts";
import { LAST_LINES_LIMIT_MS } from "./limits.ts";
import { createLog, describeError } from "./log.ts";
import { ContainerOutput } from "./logs/container-output.ts";
import { FunctionLog } from "./logs/function-log.ts";
import { OutputPipe } from "./logs/output-pipe.ts";
import { exposedCollector, memoryRelief } from "./memory-relief.ts";
import { readSettings } from "./settings.ts";

const log = createLog((line) => process.stderr.write(line));

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const output = new ContainerOutput(process.stdout);
  const now = () => new Date();
  const monotonic = () => performance.now();
  const functionLog = new FunctionLog({
    sink: output,
    now,
    monotonic,
    onUnowned: (line) => log.warn("the runtime wrote before it had a function", { line }),
  });
  const pipe = new OutputPipe(settings.tmp, functionLog.push);
  functionLog.attach(pipe);
  const agent = new Agent({
    settings,
    log,
    random: Math.random,
    relieve: memoryRelief(exposedCollector()),
    environment: { outputFd: pipe.writeFd, functionLog, processes: environmentProcesses(), now, monotonic },
    onDone: (reason) => {
      log.info("the environment ends", { reason });
      pipe.close();
      void output.end(LAST_LINES_LIMIT_MS).then(() => process.exit(0));
    },
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void agent.end(signal));
  await agent.start();
}

process.on("uncaughtException", (error) => {
  log.error("the agent ends because of an error of its own; the gateway replaces the pod", {
    error: describeError(error),
    stack: error.stack,
  });
  process.exit(70);
});

// No await at the top level: CommonJS, which the bundle is, has none.
main().catch((error: unknown) => {
  log.error("the agent could not start", { error: describeError(error) });
  process.exit(78);
});
