import { CloseCode, FrameType, type Hello } from "../api/environment-protocol.ts";
import type { Clock } from "../kube/clock.ts";
import { Annotation } from "../resources/labels.ts";
import type { EnvironmentGaugeState } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { agentVerdict } from "./agent-admission.ts";
import type { Admission, AgentConnection, AgentHost, AgentListener } from "./agent-server.ts";
import type { AgentIdentity } from "./agent-tokens.ts";
import { type AgentGateways, AgentViews } from "./agent-views.ts";
import type { Dispatcher } from "./dispatcher.ts";
import {
  Environment,
  type EnvironmentDeps,
  type EnvironmentFacts,
  type EnvironmentIdentity,
  functionUidOf,
  type PoolKeeper,
  type PoolOrigin,
} from "./environment.ts";
import type { FunctionEntry, FunctionRegistry, Runnable } from "./function-registry.ts";
import { type Pod, podCondition } from "./pod.ts";
import { identityOf, originOf } from "./pod-origin.ts";
import type { PodWriter } from "./pod-writer.ts";
import { poolOwnerKey } from "./pools/pool-owner.ts";
import type { SuspectNodes } from "./suspect-nodes.ts";
import type { Tickets } from "./tickets.ts";

/** An agent may be quicker than the watch that shows its pod. */
const POD_WAIT_MS = 5_000;
/**
 * A node whose kubelet takes no note of a pod for so long, while nothing else is heard of the node, is taken to be down: Kubernetes
 * goes on placing pods there until it notices itself, some 40 s later.
 */
const ACKNOWLEDGE_MS = 3_000;
/** A pod that was found, not made: its agent is expected to dial this gateway within this time, else it is not counted on. */
const FOUND_EXPECTED_MS = 2_000;
/** A pod that was made within this time is one that a caller waits for now. */
const NEW_MS = 10_000;
/** An answer of the API server that takes longer than this is none (the client gives up before). */
const REMOVED_MS = 120_000;

/** What becomes of environments that came from pools or are declared. */
export interface EnvironmentKeeper extends PoolKeeper {
  /** Another gateway has wanted an environment for a function: it took one from a pool, or made a pod. */
  wanted(environment: Environment): void;
  becameFunction: EnvironmentDeps["becameFunction"];
  initialized: EnvironmentDeps["initialized"];
  resizeRefused: EnvironmentDeps["resizeRefused"];
}

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
  packageBytes: EnvironmentDeps["packageBytes"];
  tickets: Tickets;
  gateways: AgentGateways;
  keeper: EnvironmentKeeper;
}

/** Every environment pod of every account, with its agent's connection where there is one. */
export class Environments implements AgentHost {
  readonly #options: EnvironmentsOptions;
  readonly #deps: EnvironmentDeps;
  readonly #views: AgentViews;
  readonly #byPod = new Map<string, Environment>();
  /** Agents whose pod the watch has not shown yet. */
  readonly #awaited = new Map<string, Set<() => void>>();
  /** UIDs of pods that went before they were in the table, with the monotonic milliseconds: the answer to their creation may be to come. */
  readonly #removed = new Map<string, number>();
  /** Pods that this gateway has made for pools, as long as nobody was given their ticket. */
  readonly #ticketsDue = new Set<string>();

  constructor(options: EnvironmentsOptions) {
    this.#options = options;
    const { keeper, gateways, clock } = options;
    this.#views = new AgentViews(gateways);
    this.#deps = {
      clock: options.clock,
      log: options.log,
      startTimeoutMs: options.startTimeoutMs,
      followRole: options.followRole,
      packageBytes: options.packageBytes,
      pools: keeper,
      epoch: () => gateways.epoch,
      heardEpoch: (epoch) => this.#views.heard(epoch, clock.now()),
      claimed: (environment, assignmentId, pass) => this.#claimed(environment, assignmentId, pass),
      returned: (environment) => environment.apply({ type: "owned", owned: this.#ownsPools(environment.identity.namespace) }),
      assignmentSent: (environment) => this.#tellNewMembers(environment),
      becameFunction: (environment) => keeper.becameFunction(environment),
      initialized: (environment, failure) => keeper.initialized(environment, failure),
      resizeRefused: (environment, why) => keeper.resizeRefused(environment, why),
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
    for (const environment of this.#byPod.values()) {
      const state = GAUGE[environment.phase];
      if (environment.owned && environment.pooled === undefined && state !== undefined) counts[state]++;
    }
    return counts;
  }

  /** All there are. */
  all(): Iterable<Environment> {
    return this.#byPod.values();
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
        ...originOf(pod),
        runnable: undefined,
        expectedMs: expectedMs(createdAt, now, this.#options.startTimeoutMs),
        createdAt: Number.isNaN(createdAt) ? now : createdAt,
      });
      // Those of this gateway's own functions were wanted here.
      const isNew = now - createdAt < NEW_MS && environment.assignmentId !== undefined && environment.provisioned === undefined;
      if (isNew && !environment.owned) this.#options.keeper.wanted(environment);
    }
    this.#readAssignment(environment, pod);
    environment.nodeName = pod.spec?.nodeName;
    // Only its kubelet writes this, so the node is alive; what is being deleted may change without it.
    if (condition.acknowledged === "acknowledged" && condition.ended === "running") this.#options.suspects.heard(environment.nodeName);
    environment.podChanged(condition);
    if (environment.phase === "gone") this.#forget(environment);
  }

  /** Takes note that a pod is gone. */
  removePod({ metadata: { namespace = "", name, uid = "" } }: Pod): void {
    const environment = this.#byPod.get(keyOf({ namespace, podName: name }));
    if (environment?.identity.podUid === uid) this.#end(environment);
    else this.#removed.set(uid, this.#options.clock.monotonic());
  }

  /** Puts a pod that this gateway has just made into the table, unless the watch was quicker. */
  adopt(identity: EnvironmentIdentity, runnable: Runnable, wanted: { since: number; avoidsNodes: boolean }): Environment {
    const environment = this.#adopt(identity, { assignmentId: runnable.assignmentId, runnable, pool: undefined });
    environment.wantedSince = wanted.since;
    environment.avoidsNodes = wanted.avoidsNodes;
    return environment;
  }

  /** The same, of one that was made for a pool. */
  adoptPooled(identity: EnvironmentIdentity, pool: PoolOrigin): Environment {
    return this.#adopt(identity, { assignmentId: undefined, runnable: undefined, pool });
  }

  /** This gateway is making a pod for a pool: the first agent that dials from it is given the ticket. */
  expectFirst(pod: { namespace: string; podName: string }, expected: boolean): void {
    if (expected) this.#ticketsDue.add(keyOf(pod));
    else this.#ticketsDue.delete(keyOf(pod));
  }

  /** Whether the agent of a pooled environment can have proven itself to anybody but this gateway. */
  isKnownElsewhere(environment: Environment): boolean {
    return !this.#ticketsDue.has(environment.key);
  }

  async admit(identity: AgentIdentity, hello: Hello): Promise<Admission> {
    const environment = await this.#known(identity);
    if (!environment || environment.identity.podUid !== identity.podUid)
      return { refused: CloseCode.unauthorized, why: "there is no such environment pod" };
    if (environment.connected) return { refused: CloseCode.duplicate, why: "the pod is connected already" };
    const verdict = this.#verdict(environment, hello);
    if (!verdict.admitted) return { refused: CloseCode.unauthorized, why: verdict.why };
    const { suspects } = this.#options;
    suspects.clear(environment.nodeName);
    suspects.heard(environment.nodeName);
    return { take: (connection) => this.#take(environment, hello, connection) };
  }

  #verdict(environment: Environment, hello: Hello) {
    const { tickets } = this.#options;
    const { podUid } = environment.identity;
    return agentVerdict(
      {
        pooled: environment.pool !== undefined,
        assignmentId: environment.assignmentId,
        confirmed: environment.confirmed,
        ticketDue: this.#ticketsDue.has(environment.key),
      },
      hello,
      {
        ticket: tickets.isTicket(hello.ticket, podUid),
        pass: hello.assignmentId !== undefined && tickets.isPass(hello.pass, podUid, hello.assignmentId),
      },
    );
  }

  /** Takes a connection, if nothing has changed since it was admitted. */
  #take(environment: Environment, hello: Hello, connection: AgentConnection): AgentListener {
    const verdict = this.#verdict(environment, hello);
    if (environment.connected) connection.close(CloseCode.duplicate, "the pod is connected already");
    else if (!verdict.admitted) connection.close(CloseCode.unauthorized, verdict.why);
    else {
      // Whichever way it has proven itself, nobody else is its agent.
      this.#ticketsDue.delete(environment.key);
      if (verdict.learned !== undefined) this.#learn(environment, verdict.learned);
      const ticket = verdict.giveTicket ? { ticket: this.#options.tickets.ticket(environment.identity.podUid) } : {};
      connection.send({
        type: FrameType.welcome,
        header: { ...this.#views.welcome(environment, this.#functionOf(environment)), ...ticket },
      });
      environment.connect(connection, hello.state);
    }
    return this.#listen(environment, connection);
  }

  packageOf(identity: AgentIdentity): string | undefined {
    const environment = this.#byPod.get(`${identity.namespace}/${identity.podName}`);
    return environment?.identity.podUid === identity.podUid ? environment.runnable?.effective.packageSha256 : undefined;
  }

  /** Whether an environment's pod is in the table, this very one. */
  has({ namespace, podName, podUid }: AgentIdentity): boolean {
    return this.#byPod.get(`${namespace}/${podName}`)?.identity.podUid === podUid;
  }

  /** The gateways changed: some pools have another owner, and every agent is told. After the functions' owners were. */
  gatewaysChanged(): void {
    for (const environment of this.#byPod.values()) {
      if (environment.pooled !== undefined) environment.apply({ type: "owned", owned: this.#ownsPools(environment.identity.namespace) });
      if (environment.connected)
        environment.tell({ type: FrameType.welcome, header: this.#views.welcome(environment, this.#functionOf(environment)) });
    }
  }

  /** With an assignment its members may be others; where they are not, there is nothing to tell. */
  #tellNewMembers(environment: Environment): void {
    if (environment.pool === undefined) return;
    const welcome = this.#views.welcome(environment, this.#functionOf(environment));
    const former = new Set(this.#views.membersOf(environment, undefined).map(({ name }) => name));
    if (welcome.members.some(({ name }) => !former.has(name))) environment.tell({ type: FrameType.welcome, header: welcome });
  }

  #ownsPools(namespace: string): boolean {
    return this.#views.owns(poolOwnerKey(namespace));
  }

  #claimed(environment: Environment, assignmentId: string, pass: string | undefined): boolean {
    if (environment.pool === undefined || environment.confirmed) return false;
    if (!this.#options.tickets.isPass(pass, environment.identity.podUid, assignmentId)) return false;
    this.#learn(environment, assignmentId);
    return true;
  }

  /** What its pod says that it has become. */
  #readAssignment(environment: Environment, pod: Pod): void {
    const assignmentId = pod.metadata.annotations?.[Annotation.assignment];
    if (assignmentId === undefined) return;
    environment.annotated = true;
    if (environment.confirmed) return;
    if (environment.assignmentId === assignmentId) environment.confirmed = true;
    else this.#learn(environment, assignmentId);
  }

  /** A pooled environment has become a function's by another gateway. */
  #learn(environment: Environment, assignmentId: string): void {
    environment.learn(assignmentId);
    this.#ticketsDue.delete(environment.key);
    const entry = this.#functionOf(environment);
    const dispatcher = entry && this.#options.dispatcherOf(entry);
    dispatcher?.add(environment);
    environment.apply({ type: "owned", owned: dispatcher?.owned ?? false });
    this.#options.keeper.wanted(environment);
  }

  /** Time has passed: for those whose function is not known; the others hear it from their dispatcher. */
  tick(now: number): void {
    for (const environment of this.#byPod.values()) {
      if (!this.#functionOf(environment)) environment.tick(now);
      if (environment.phase === "gone") this.#forget(environment);
    }
    for (const [uid, at] of this.#removed) if (now - at > REMOVED_MS) this.#removed.delete(uid);
    this.#replaceUnacknowledged(now);
  }

  /** Pods that were placed on a node that is down are given up at once, instead of after the whole time for a start. */
  #replaceUnacknowledged(now: number): void {
    const { suspects, log } = this.#options;
    for (const environment of this.#byPod.values()) {
      const { nodeName, unacknowledgedSince: since } = environment;
      if (since === undefined || environment.phase !== "starting" || !environment.owned || now - since < ACKNOWLEDGE_MS) continue;
      if (nodeName === undefined || suspects.quietFor(nodeName) < ACKNOWLEDGE_MS || this.#connectedOn(nodeName)) continue;
      // Two at once are busy rather than down, and more pods would make them busier still.
      if (suspects.current().some((other) => other !== nodeName)) continue;
      // It is there for want of another node: a third one would come to the same.
      if (suspects.has(nodeName) && !suspects.fellSilentAfter(environment.wantedSince, nodeName)) continue;
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
        environment.disconnected(how);
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

  #adopt(identity: EnvironmentIdentity, of: Pick<EnvironmentFacts, "assignmentId" | "runnable" | "pool">): Environment {
    const { clock, startTimeoutMs } = this.#options;
    const known = this.#byPod.get(keyOf(identity));
    if (known) return known;
    const made = this.#add(identity, { ...of, provisioned: undefined, expectedMs: startTimeoutMs, createdAt: clock.now() });
    if (this.#removed.delete(identity.podUid)) this.#end(made);
    return made;
  }

  #add(identity: EnvironmentIdentity, facts: Omit<EnvironmentFacts, "owned">): Environment {
    const entry = this.#functionOf({ identity, functionUid: functionUidOf(facts.assignmentId) });
    const dispatcher = entry && this.#options.dispatcherOf(entry);
    const owned = facts.assignmentId === undefined ? this.#ownsPools(identity.namespace) : (dispatcher?.owned ?? false);
    const environment = new Environment(identity, { ...facts, owned }, this.#deps);
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
    const entry = functionUid === undefined ? undefined : this.#options.registry.byUid(functionUid);
    return entry?.namespace === identity.namespace ? entry : undefined;
  }

  #end(environment: Environment): void {
    // The pod is gone as a whole; nothing is left to delete.
    environment.terminating = true;
    environment.apply({ type: "podEnded", overuse: false });
    this.#forget(environment);
  }

  #forget(environment: Environment): void {
    if (this.#byPod.get(environment.key) !== environment) return;
    this.#byPod.delete(environment.key);
    this.#ticketsDue.delete(environment.key);
  }

  #deletePod(environment: Environment, now: boolean): void {
    const { pods, suspects } = this.#options;
    // A dead node never confirms a deletion, so there only the object is removed; a live one ends the processes first.
    const isDead = !environment.connected && suspects.has(environment.nodeName);
    pods.remove(environment.identity, isDead ? 0 : now ? 1 : undefined);
  }
}

const GAUGE = {
  starting: "starting",
  assigning: "starting",
  pooled: undefined,
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

/** How long a found pod is counted on: what is left of its start, or the moment its agent needs to dial a new gateway. */
function expectedMs(createdAt: number, now: number, startTimeoutMs: number): number {
  const left = Number.isNaN(createdAt) ? 0 : createdAt + startTimeoutMs - now;
  return Math.max(FOUND_EXPECTED_MS, left);
}
