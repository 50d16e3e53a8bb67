/**
 * The composition root: `main.mjs controller|gateway|bootstrap`. Reads argv and the environment, starts one process, and stops
 * it in order on SIGTERM. A process loads only its own part of the bundle: the gateway's memory is not spent on the operator's code.
 */
import { KappaError } from "./domain/errors.ts";
import type { Process } from "./processes/process.ts";

const processes: Record<string, () => Promise<(env: NodeJS.ProcessEnv) => Promise<Process | undefined>>> = {
  controller: async () => (await import("./processes/controller.ts")).controller,
  gateway: async () => (await import("./processes/gateway.ts")).gateway,
  bootstrap: async () => (await import("./processes/bootstrap.ts")).bootstrap,
};

async function main(): Promise<void> {
  const name = process.argv[2] ?? "";
  const load = processes[name];
  if (!load) throw new KappaError("K300", `the first argument is "${name}"; it has to be one of ${Object.keys(processes).join(", ")}`);
  const started = await (await load())(process.env);
  if (!started) return;
  const { stop, log } = started;
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      log.info({ signal }, "stopping");
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error }, "did not stop in order");
          process.exit(1);
        },
      );
    });
  }
}

main().catch((error: unknown) => {
  const known = error instanceof KappaError ? { code: error.code, remedy: error.entry.remedy } : {};
  process.stderr.write(
    `${JSON.stringify({ level: "fatal", ...known, message: error instanceof Error ? error.message : String(error), stack: error instanceof Error ? error.stack : undefined })}\n`,
  );
  process.exit(1);
});
