import { capsuleRuns } from "./capsule.ts";
import type { Engine } from "./engine.ts";
import { internetAnswers } from "./internet/internet.ts";
import { kubectlOf } from "./kubectl.ts";
import type { Paths } from "./paths.ts";
import { isRunning } from "./processes.ts";
import { relaySocket } from "./relay.ts";
import { NODES } from "./settings.ts";
import type { State } from "./state.ts";

/** Why a recorded cluster cannot be used as it is; undefined when it can. Cheap checks come first. */
export async function whatIsBroken(
  state: State,
  bootId: string,
  key: string,
  engine: () => Engine,
  paths: Paths,
): Promise<string | undefined> {
  if (state.bootId !== bootId) return "the machine was started again since";
  if (!state.complete) return "its creation was interrupted";
  if (state.key !== key) return "it was made from other versions or settings";
  return whatDoesNotRun(state, engine, paths);
}

/** The part of {@link whatIsBroken} that looks at what runs. */
export async function whatDoesNotRun(state: State, engine: () => Engine, paths: Paths): Promise<string | undefined> {
  if (state.capsule && !(await capsuleRuns(state.capsule))) return "its namespaces are gone";
  for (const process of state.processes) if (!(await isRunning(process))) return `its process ${process.pid} (a relay to the host) is gone`;
  const running = await engine().tryContainers(["ps", "--format", "{{.Names}}"], { timeoutMs: 30_000 });
  if (running.exitCode !== 0) return `${engine().name} does not answer`;
  const names = running.stdout.split("\n");
  const gone = NODES.filter((node) => !names.includes(node));
  if (gone.length > 0) return `the container of ${gone.join(" and ")} does not run`;
  const kubectl = kubectlOf(paths);
  const ready = await kubectl.attempt(["get", "--raw", "/readyz", "--request-timeout=10s"], { timeoutMs: 15_000 });
  if (ready.exitCode !== 0) return "its API server is not ready";
  const nodes = await kubectl.attempt(
    ["get", "nodes", "--output", 'jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}'],
    {
      timeoutMs: 15_000,
    },
  );
  const notReady = NODES.filter((node) => !nodes.stdout.split(" ").includes(`${node}=True`));
  if (notReady.length > 0) return `node ${notReady.join(" and ")} is not ready`;
  if (!engine().publishesOnHost) {
    const sockets = (await engine().tryInside(["cat", "/proc/net/unix"], { timeoutMs: 10_000 })).stdout;
    const deaf = Object.values(state.ports).filter((port) => !sockets.includes(relaySocket(paths, port)));
    if (deaf.length > 0) return `nothing relays port ${deaf.join(" and ")}`;
  }
  return (await internetAnswers(engine())) ? undefined : "its local internet does not answer";
}
