import { checkEnforcement } from "./check.ts";
import { checkNodeName, describeCluster, findCluster } from "./cluster.ts";
import { clusterEnvironment, exportLines } from "./environment.ts";
import { ClusterError, describeFailure } from "./failure.ts";
import { loadArchives } from "./load.ts";
import { withLock } from "./lock.ts";
import { killNode, startNode } from "./node-loss.ts";
import { ensureParts } from "./parts.ts";
import { type Paths, pathsOf } from "./paths.ts";
import { whatRemains } from "./remains.ts";
import { removeCluster } from "./remove.ts";
import { type Settings, settingsFrom } from "./settings.ts";
import { CACHE, up } from "./up.ts";
import { USAGE } from "./usage.ts";

type Command = (args: readonly string[], settings: Settings, paths: Paths) => Promise<number>;

const out = (text: string) => process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);

async function down(_args: readonly string[], _settings: Settings, paths: Paths): Promise<number> {
  await withLock(paths.stateDir, () => removeCluster(paths));
  const left = await whatRemains(paths);
  if (left.length === 0) {
    out("the cluster is gone: no process, container, mount, namespace, interface, cgroup or BPF pin of it is left");
    return 0;
  }
  process.stderr.write(
    `left of the cluster:\n${left.map((line) => `  ${line}\n`).join("")}  remedy: end what holds it, then run \`make down\` again\n`,
  );
  return 1;
}

/** The words after `--`; a command to run elsewhere. */
function commandAfterDashes(args: readonly string[]): string[] {
  const at = args.indexOf("--");
  const command = at < 0 ? [] : args.slice(at + 1);
  if (command.length === 0)
    throw new ClusterError("no command to run is given", "give it after --, as in: exec-node kappa-worker -- ip addr");
  return command;
}

const commands: Readonly<Record<string, Command>> = {
  up: async (_args, settings, paths) => {
    await withLock(paths.stateDir, () => up(settings, paths));
    return 0;
  },
  down,
  parts: async (_args, _settings, paths) => {
    const note = (line: string) => process.stderr.write(`${line}\n`);
    const { bin } = await withLock(paths.cacheDir, () => ensureParts(paths.cacheDir, note), CACHE);
    out(bin);
    return 0;
  },
  status: async () => {
    const { text, healthy } = await describeCluster(await findCluster());
    out(text);
    return healthy ? 0 : 1;
  },
  env: async () => {
    out(exportLines(await clusterEnvironment(await findCluster(), process.env.PATH ?? "")));
    return 0;
  },
  check: async () => {
    const { lines, ok } = await checkEnforcement(await findCluster());
    out(lines.join("\n"));
    return ok ? 0 : 1;
  },
  load: async (archives) => {
    if (archives.length === 0) throw new ClusterError("no archive to load is given", "name docker-archive files: load images/operator.tar");
    const { engine, paths } = await findCluster();
    out((await loadArchives(engine, paths, archives)).join("\n"));
    return 0;
  },
  "exec-node": async (args) => {
    const { engine } = await findCluster();
    const terminal = process.stdin.isTTY ? ["--interactive", "--tty"] : ["--interactive"];
    return (
      await engine.tryContainers(["exec", ...terminal, checkNodeName(args[0]), ...commandAfterDashes(args)], {
        inherit: true,
        timeoutMs: 0,
      })
    ).exitCode;
  },
  "kill-node": async (args, _settings, paths) => {
    await withLock(paths.stateDir, async () => killNode(await findCluster(), checkNodeName(args[0])));
    return 0;
  },
  "start-node": async (args, _settings, paths) => {
    await withLock(paths.stateDir, async () => startNode(await findCluster(), checkNodeName(args[0])));
    return 0;
  },
  enter: async (args) => {
    const { engine } = await findCluster();
    return (await engine.tryInside(commandAfterDashes(args), { inherit: true, timeoutMs: 0 })).exitCode;
  },
};

const [name = "", ...args] = process.argv.slice(2);
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command === undefined) {
  process.stderr.write(USAGE);
  process.exitCode = name === "help" || name === "--help" ? 0 : 2;
} else {
  try {
    const settings = settingsFrom(process.env);
    process.exitCode = await command(args, settings, pathsOf(settings));
  } catch (error) {
    process.stderr.write(`${describeFailure(error)}\n`);
    process.exitCode = 1;
  }
}
