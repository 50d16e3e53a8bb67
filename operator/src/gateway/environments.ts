import { CloseCode, FrameType, type Hello, type Member } from "../api/environment-protocol.ts";
import type { Clock } from "../kube/clock.ts";
import { Annotation } from "../resources/labels.ts";
import type { EnvironmentGaugeState } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { AgentConnection, AgentHost, AgentListener } from "./agent-server.ts";
import type { AgentIdentity } from "./agent-tokens.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { Environment, type EnvironmentDeps, type EnvironmentIdentity, functionUidOf } from "./environment.ts";
import type { FunctionEntry, FunctionRegistry, Runnable } from "./function-registry.ts";
import { type Pod, podCondition } from "./pod.ts";
import type { PodWriter } from "./pod-writer.ts";
import type { SuspectNodes } from "./suspect-nodes.ts";

/** An agent may be quicker than the watch that shows its pod. */
const POD_WAIT_MS = 5_000;
/**
 * A node whose kubelet takes no note of a pod for so long, while nothing else is heard of the node, is taken to be down: Kubernetes
 * goes on placing pods there until it notices itself, some 40 s later.
 */
const ACKNOWLEDGE_MS = 3_000;
/** A pod that was found, not made: its agent is expected to dial this gateway within this time, else it is not counted on. */
const FOUND_EXPECTED_MS = 2_000;

export interface EnvironmentsOptions {
  clock: Clock;
  log: Logger;
  registry: FunctionRegistry;
  pods: Pick<PodWriter, "remove">;
  suspects: SuspectNodes;
  startTimeoutMs: number;
  /** The dispatcher of a function, made when it is not there. */
  dispatcherOf(entry: FunctionEntry): Dispatcher;
  followRole: EnvironmentDeps["followRole"];
  /** The gateways that an agent of this function should dial. */
  membersFor(functionKey: string): Member[];
}

/** Every environment pod of every account, with its agent's connection where there is one. */
export class Environments implements AgentHost {
  readonly #options: EnvironmentsOptions;
  readonly #deps: EnvironmentDeps;
  readonly #byPod = new Map<string, Environment>();
  /** Agents whose pod the watch has not shown yet. */
  readonly #awaited = new Map<string, Set<() => void>>();

  constructor(options: EnvironmentsOptions) {
    this.#options = options;
    this.#deps = {
      clock: options.clock,
      log: options.log,
      startTimeoutMs: options.startTimeoutMs,
      followRole: options.followRole,
      deletePod: (environment, now) => this.#deletePod(environment, now),
    };
    // A pod can be shown before its function is.
    options.registry.subscribe((_, entry) => {
      if (entry) this.#attach(entry);
    });
  }

  /** How many this gateway owns, by what they do. */
  counts(): Record<EnvironmentGaugeState, number> {
    const counts = { starting: 0, idle: 0, busy: 0, retiring: 0 };
    for (const environment of this.#byPod.values()) if (environment.owned) counts[GAUGE[environment.phase]]++;
    return counts;
  }

  /** Takes a pod as the watch shows it. */
  putPod(pod: Pod): void {
    const identity = identityOf(pod);
    const condition = podCondition(pod);
    if (!identity) return;
    let environment = this.#byPod.get(keyOf(identity));
    if (environment && environment.identity.podUid !== identity.podUid) {
      // A pod of the same name was made anew; the old one's story is over.
      this.#end(environment);
      environment = undefined;
    }
    if (!environment) {
      // What had ended before it was seen is of no use; the controller sweeps it.
      if (condition.ended === "ended") return;
      const now = this.#options.clock.now();
      const createdAt = Date.parse(pod.metadata.creationTimestamp ?? "");
      environment = this.#add(identity, {
        expectedMs: expectedMs(createdAt, now, this.#options.startTimeoutMs),
        createdAt: Number.isNaN(createdAt) ? now : createdAt,
      });
    }
    environment.nodeName = pod.spec?.nodeName;
    // Only its kubelet writes this, so the node is alive; what is being deleted may change without it.
    if (condition.acknowledged === "acknowledged" && condition.ended === "running") this.#options.suspects.heard(environment.nodeName);
    environment.podChanged(condition);
    if (environment.phase === "gone") this.#forget(environment);
  }

  /** Takes note that a pod is gone. */
  removePod(pod: Pod): void {
    const environment = this.#byPod.get(`${pod.metadata.namespace ?? ""}/${pod.metadata.name}`);
    if (environment && environment.identity.podUid === pod.metadata.uid) this.#end(environment);
  }

  /** Puts a pod that this gateway has just made into the table, unless the watch was quicker. */
  adopt(identity: EnvironmentIdentity, runnable: Runnable, wanted: { since: number; avoidsNodes: boolean }): Environment {
    const { clock, startTimeoutMs } = this.#options;
    const environment =
      this.#byPod.get(keyOf(identity)) ?? this.#add(identity, { expectedMs: startTimeoutMs, createdAt: clock.now() }, runnable);
    environment.wantedSince = wanted.since;
    environment.avoidsNodes = wanted.avoidsNodes;
    return environment;
  }

  async admit(
    identity: AgentIdentity,
    hello: Hello,
  ): Promise<{ refused: number; why: string } | { take: (connection: AgentConnection) => AgentListener; members: Member[] }> {
    const environment = await this.#known(identity);
    if (!environment || environment.identity.podUid !== identity.podUid)
      return { refused: CloseCode.unauthorized, why: "there is no such environment pod" };
    if (environment.connected) return { refused: CloseCode.duplicate, why: "the pod is connected already" };
    if (hello.assignmentId !== undefined && hello.assignmentId !== environment.identity.assignmentId)
      return { refused: CloseCode.unauthorized, why: "the pod was made for another assignment" };
    const { suspects, membersFor } = this.#options;
    suspects.clear(environment.nodeName);
    suspects.heard(environment.nodeName);
    return {
      members: membersFor(this.#functionOf(environment)?.key ?? environment.key),
      take: (connection) => {
        // Another one may have come while this one was being looked at.
        if (environment.connected) connection.close(CloseCode.duplicate, "the pod is connected already");
        else environment.connect(connection, hello.state);
        return this.#listen(environment, connection);
      },
    };
  }

  packageOf(identity: AgentIdentity): string | undefined {
    const environment = this.#byPod.get(`${identity.namespace}/${identity.podName}`);
    return environment?.identity.podUid === identity.podUid ? environment.runnable?.effective.packageSha256 : undefined;
  }

  /** Whether an environment's pod is in the table, this very one. */
  has({ namespace, podName, podUid }: AgentIdentity): boolean {
    return this.#byPod.get(`${namespace}/${podName}`)?.identity.podUid === podUid;
  }

  /** Tells every agent which gateways there are now. */
  announceMembers(): void {
    const { membersFor } = this.#options;
    for (const environment of this.#byPod.values()) {
      if (!environment.connected) continue;
      environment.tell({
        type: FrameType.welcome,
        header: { members: membersFor(this.#functionOf(environment)?.key ?? environment.key), epoch: 0 },
      });
    }
  }

  /** Time has passed: for those whose function is not known; the others hear it from their dispatcher. */
  tick(now: number): void {
    for (const environment of this.#byPod.values()) {
      if (!this.#functionOf(environment)) environment.tick(now);
      if (environment.phase === "gone") this.#forget(environment);
    }
    this.#replaceUnacknowledged(now);
  }

  /** Pods that were placed on a node that is down are given up at once, instead of after the whole time for a start. */
  #replaceUnacknowledged(now: number): void {
    const { suspects, log } = this.#options;
    for (const environment of this.#byPod.values()) {
      const { nodeName, unacknowledgedSince: since } = environment;
      if (since === undefined || environment.phase !== "starting" || !environment.owned || now - since < ACKNOWLEDGE_MS) continue;
      if (nodeName === undefined || suspects.quietFor(nodeName) < ACKNOWLEDGE_MS || this.#connectedOn(nodeName)) continue;
      log.warn({ pod: environment.key, node: nodeName }, "a node takes no note of a pod and nothing is heard of it");
      suspects.suspect(nodeName);
      environment.unacknowledgedSince = undefined;
      environment.apply({ type: "timeout" });
    }
  }

  #connectedOn(node: string): boolean {
    return [...this.#byPod.values()].some((environment) => environment.connected && environment.nodeName === node);
  }

  #listen(environment: Environment, connection: AgentConnection): AgentListener {
    return {
      frame: (frame) => {
        if (environment.isConnectedBy(connection)) environment.frame(frame);
      },
      disconnected: (how) => {
        if (!environment.isConnectedBy(connection)) return;
        if (how === "silent") {
          this.#options.log.warn({ pod: environment.key, node: environment.nodeName }, "an agent stopped answering");
          this.#options.suspects.suspect(environment.nodeName);
        }
        environment.disconnected(how === "orderly");
      },
    };
  }

  async #known(identity: AgentIdentity): Promise<Environment | undefined> {
    const key = `${identity.namespace}/${identity.podName}`;
    const known = this.#byPod.get(key);
    if (known?.identity.podUid === identity.podUid) return known;
    await new Promise<void>((resolve) => {
      const waiters = this.#awaited.get(key) ?? new Set();
      this.#awaited.set(key, waiters);
      const done = () => {
        cancel();
        waiters.delete(done);
        if (waiters.size === 0) this.#awaited.delete(key);
        resolve();
      };
      const cancel = this.#options.clock.setTimeout(done, POD_WAIT_MS);
      waiters.add(done);
    });
    return this.#byPod.get(key);
  }

  #add(identity: EnvironmentIdentity, times: { expectedMs: number; createdAt: number }, runnable?: Runnable): Environment {
    const entry = this.#functionOf({ identity, functionUid: functionUidOf(identity) });
    const dispatcher = entry && this.#options.dispatcherOf(entry);
    const environment = new Environment(identity, { owned: dispatcher?.owned ?? false, runnable, ...times }, this.#deps);
    this.#byPod.set(environment.key, environment);
    dispatcher?.add(environment);
    for (const arrived of [...(this.#awaited.get(environment.key) ?? [])]) arrived();
    return environment;
  }

  #attach(entry: FunctionEntry): void {
    for (const environment of this.#byPod.values()) {
      if (environment.attached || this.#functionOf(environment)?.uid !== entry.uid) continue;
      const dispatcher = this.#options.dispatcherOf(entry);
      dispatcher.add(environment);
      environment.apply({ type: "owned", owned: dispatcher.owned });
    }
  }

  /**
   * The function that a pod was made for. One of another namespace does not count: whoever may make pods in a namespace can write any
   * annotation on them, and would be given the code, the variables and the events of somebody else's function.
   */
  #functionOf({ identity, functionUid }: Pick<Environment, "identity" | "functionUid">): FunctionEntry | undefined {
    const entry = this.#options.registry.byUid(functionUid);
    return entry?.namespace === identity.namespace ? entry : undefined;
  }

  #end(environment: Environment): void {
    // The pod is gone as a whole; nothing is left to delete.
    environment.terminating = true;
    environment.apply({ type: "podEnded", overuse: false });
    this.#forget(environment);
  }

  #forget(environment: Environment): void {
    if (this.#byPod.get(environment.key) === environment) this.#byPod.delete(environment.key);
  }

  #deletePod(environment: Environment, now: boolean): void {
    const { pods, suspects } = this.#options;
    if (!now) pods.remove(environment.identity, undefined);
    // A dead node never confirms a deletion, so there only the object is removed; a live one ends the processes first.
    else pods.remove(environment.identity, suspects.has(environment.nodeName) ? 0 : 1);
  }
}

const GAUGE = {
  starting: "starting",
  assigning: "starting",
  idle: "idle",
  busy: "busy",
  foreign: "busy",
  lost: "busy",
  retiring: "retiring",
  gone: "retiring",
} as const;

function keyOf(identity: { namespace: string; podName: string }): string {
  return `${identity.namespace}/${identity.podName}`;
}

function identityOf(pod: Pod): EnvironmentIdentity | undefined {
  const { namespace, name, uid, annotations } = pod.metadata;
  const assignmentId = annotations?.[Annotation.assignment];
  if (namespace === undefined || uid === undefined || assignmentId === undefined) return undefined;
  return { namespace, podName: name, podUid: uid, assignmentId };
}

/** How long a found pod is counted on: what is left of its start, or the moment its agent needs to dial a new gateway. */
function expectedMs(createdAt: number, now: number, startTimeoutMs: number): number {
  const left = Number.isNaN(createdAt) ? 0 : createdAt + startTimeoutMs - now;
  return Math.max(FOUND_EXPECTED_MS, left);
}
