/**
 * One gateway's dispatching for tests, without a network: real environments and dispatchers over a fake clock, agents that do what the
 * test says, and pods that are there as soon as they are asked for.
 */
import { vi } from "vitest";
import { type AgentState, type Frame, FrameType, type Hello, type KubernetesToken, type Result } from "../../api/environment-protocol.ts";
import type { FunctionEffective, Function as FunctionObject } from "../../api/types.generated.ts";
import { runnableId } from "../../domain/effective.ts";
import { systemClock } from "../../kube/clock.ts";
import { Annotation } from "../../resources/labels.ts";
import { createGatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import { createLogger } from "../../telemetry/log.ts";
import { AccountConcurrency } from "../account-concurrency.ts";
import type { AgentListener, ReceivedFrame } from "../agent-server.ts";
import { Dispatchers, type DispatchersOptions } from "../dispatchers.ts";
import type { EnvironmentIdentity } from "../environment.ts";
import { type EnvironmentKeeper, Environments } from "../environments.ts";
import { FunctionRegistry } from "../function-registry.ts";
import type { BytesLeft, Invocation, Outcome } from "../invocation.ts";
import { type Pod, trimPod } from "../pod.ts";
import type { PoolTaker } from "../pool-taker.ts";
import { SuspectNodes } from "../suspect-nodes.ts";
import { Tickets } from "../tickets.ts";

/** An agent that does what the gateway says, when the test says so. It answers each view of the gateways at once. */
export class Agent {
  readonly identity: MadePod;
  /** What it was told, but for the views of the gateways. */
  readonly sent: Frame[] = [];
  state: AgentState;
  /** It hears, and tells nothing of itself. */
  isMute = false;
  closed: number | undefined;
  /** What the gateway hears with. */
  listener: AgentListener | undefined;
  #epoch: number | undefined;

  constructor(identity: MadePod, state: AgentState) {
    this.identity = identity;
    this.state = state;
  }

  hear(frame: Frame): void {
    if (frame.type === FrameType.welcome) {
      this.#epoch = frame.header.epoch;
      this.answerEpoch();
      return;
    }
    if (frame.type === FrameType.invoke) this.state = "busy";
    this.sent.push(frame);
  }

  /** Tells what it does, knowing of the latest view. */
  answerEpoch(): void {
    if (this.#epoch !== undefined && !this.isMute)
      this.say({ type: FrameType.stateChange, header: { state: this.state, epoch: this.#epoch } });
  }

  speak(): void {
    if (!this.isMute) return;
    this.isMute = false;
    this.answerEpoch();
  }

  /** What it was assigned last. */
  get assignmentId(): string | undefined {
    const assign = this.last(FrameType.assign);
    return assign?.type === FrameType.assign ? assign.header.assignmentId : this.identity.assignmentId;
  }

  last(type: number): Frame | undefined {
    return this.sent.findLast((frame) => frame.type === type);
  }

  say(frame: Frame): void {
    this.listener?.frame({ body: Buffer.alloc(0), ...frame } as ReceivedFrame);
  }

  failed(kind: "package" | "refused", errorType: string): void {
    const assign = this.last(FrameType.assign);
    if (assign?.type === FrameType.assign)
      this.say({
        type: FrameType.assignmentFailed,
        header: { assignmentId: assign.header.assignmentId, kind, errorType, message: "the agent's words" },
      });
  }

  assigned(): void {
    const assign = this.last(FrameType.assign);
    this.state = "assigned";
    if (assign?.type === FrameType.assign)
      this.say({ type: FrameType.assigned, header: { assignmentId: assign.header.assignmentId, initDurationMs: 5 } });
  }

  get running(): string | undefined {
    const invoke = this.last(FrameType.invoke);
    return invoke?.type === FrameType.invoke ? invoke.header.requestId : undefined;
  }

  answer(over: Partial<Result> = {}): void {
    const header = { requestId: this.running ?? "", durationMs: 1, billedMs: 1, maxMemoryMb: 10, reusable: true, ...over };
    this.state = "assigned";
    this.say({ type: FrameType.result, header, body: Buffer.from(`"${header.requestId}"`) });
  }
}

/** The configuration in force at a revision. */
export function effectiveOf(revision: string): FunctionEffective {
  return {
    revisionId: revision,
    codeSha256: "",
    codeSize: 1,
    packageSha256: revision.padStart(64, "0"),
    runtime: "python3.11",
    handler: "app.handler",
    memorySize: 128,
    timeout: 3,
    environment: {},
    ephemeralStorageMb: 512,
    architectures: ["x86_64"],
    loggingConfig: { logFormat: "Text", logGroup: "/aws/lambda/f" },
  };
}

/** A pod of a function's own. */
export interface MadePod extends EnvironmentIdentity {
  assignmentId: string;
}

/** For functions that take nothing from pools. */
export const NO_KEEPER: EnvironmentKeeper = {
  moved() {},
  startFailed() {},
  wanted() {},
  becameFunction() {},
  initialized() {},
  resizeRefused() {},
};

const NO_POOLS: PoolTaker = { take: () => undefined, missed() {}, giveUpOne: () => false, settled: () => true };

/** What an environment of the function f is made for. */
export const assignedTo = (revision = "1", over: Partial<FunctionEffective> = {}) =>
  runnableId({ uid: "uid-of-f", version: "$LATEST", effective: { ...effectiveOf(revision), ...over } });

export function setup({
  owned = true,
  accountConcurrency = 1000,
  concurrency = new AccountConcurrency({ limit: accountConcurrency, clock: systemClock }),
  keepAliveMs = 600_000,
  pools = NO_POOLS,
  keeper = NO_KEEPER,
  askPeers = async (_namespace?: string) => false,
}: {
  owned?: boolean;
  accountConcurrency?: number;
  concurrency?: DispatchersOptions["concurrency"];
  keepAliveMs?: number;
  pools?: PoolTaker;
  keeper?: EnvironmentKeeper;
  askPeers?: (namespace?: string) => Promise<boolean>;
} = {}) {
  const log = createLogger({ component: "gateway", level: "silent" });
  const metrics = createGatewayMetrics();
  const registry = new FunctionRegistry();
  const suspects = new SuspectNodes(systemClock);
  const created: { identity: MadePod; avoidNodes: readonly string[] }[] = [];
  const removed: { podName: string; grace: number | undefined }[] = [];
  const agents = new Map<string, Agent>();
  const followers = new Set<{ role: string; tell: (token: KubernetesToken) => void }>();
  const control = { owned, createError: undefined as Error | undefined, epoch: 0, chance: 0.99 };
  const environments: Environments = new Environments({
    clock: systemClock,
    log,
    registry,
    suspects,
    pods: { remove: ({ podName }, grace) => void removed.push({ podName, grace }) },
    startTimeoutMs: 20_000,
    followRole: (namespace, serviceAccount, tell) => {
      const follower = { role: `${namespace}/${serviceAccount}`, tell };
      followers.add(follower);
      tell({ token: `token of ${follower.role}`, namespace, caCertificate: "ca" });
      return () => followers.delete(follower);
    },
    dispatcherOf: (entry) => dispatchers.of(entry),
    packageBytes: () => undefined,
    tickets: new Tickets("secret"),
    gateways: {
      get epoch() {
        return control.epoch;
      },
      ownerOf: () => "self",
      owns: () => control.owned,
      membersFor: () => [],
      heard: () => {},
    },
    keeper,
  });
  const dispatchers: Dispatchers = new Dispatchers({
    registry,
    clock: systemClock,
    concurrency,
    isOwner: () => control.owned,
    deps: {
      log,
      metrics,
      suspects,
      region: "us-east-1",
      keepAliveMs,
      startTimeoutMs: 20_000,
      accountIdOf: () => "111111111111",
      lambdaEndpoint: "http://gateway",
      credentialsFor: ({ podUid }, serviceAccount) => ({
        accessKeyId: `${serviceAccount} in ${podUid}`,
        secretAccessKey: "s",
        sessionToken: "t",
      }),
      adopt: (...made) => environments.adopt(...made),
      pools,
      epoch: () => control.epoch,
      chance: () => control.chance,
      passFor: () => "none",
      pods: {
        async create(entry, runnable, avoidNodes) {
          if (control.createError) throw control.createError;
          const name = `${entry.name}-${created.length}`;
          const identity = { namespace: entry.namespace, podName: name, podUid: `uid-${name}`, assignmentId: runnable.assignmentId };
          created.push({ identity, avoidNodes });
          return identity;
        },
      },
    },
    askPeers,
    onTick: (now) => environments.tick(now),
  });
  dispatchers.start();

  function put(
    name = "f",
    { revision = "1", over = {}, spec = {}, status = {} }: { revision?: string; over?: object; spec?: object; status?: object } = {},
  ): void {
    const effective = { ...effectiveOf(revision), ...over };
    registry.put({
      apiVersion: "kappa.dev/v1alpha1",
      kind: "Function",
      metadata: { name, namespace: "team", uid: `uid-of-${name}`, creationTimestamp: "2026-01-01T00:00:00Z" },
      spec,
      status: { state: "Active", effective, ...status },
    } as unknown as FunctionObject);
  }

  function putVersion(version: number, { revision = String(version), name = "f" } = {}): void {
    registry.putVersion({
      apiVersion: "kappa.dev/v1alpha1",
      kind: "Version",
      metadata: { name: `${name}-${version}`, namespace: "team", uid: `uid-of-${name}-${version}` },
      spec: { functionName: name, version },
      status: { state: "Active", effective: effectiveOf(revision) },
    });
  }

  function putAlias(name: string, functionVersion: string, weights?: Record<string, string>, of = "f"): void {
    registry.putAlias({
      apiVersion: "kappa.dev/v1alpha1",
      kind: "Alias",
      metadata: { name: `${of}-${name}`, namespace: "team", uid: `uid-of-${of}-${name}` },
      spec: { functionName: of, name, functionVersion, ...(weights ? { routingConfig: { additionalVersionWeights: weights } } : {}) },
    });
  }

  /** The gateways change, and with them perhaps the owner. */
  function ownership(owned: boolean): void {
    control.owned = owned;
    control.epoch++;
    dispatchers.ownersChanged();
    environments.gatewaysChanged();
  }

  const outcomes = new Map<string, Outcome>();
  const chunks: { requestId: string; text: string; contentType: string | undefined; left: BytesLeft }[] = [];
  function invoke(
    requestId: string,
    name = "f",
    { streaming = false, version = "$LATEST", qualifier = "" } = {},
  ): { outcome: () => Outcome | undefined; cancel: () => void } {
    const call = { cancelled: false };
    const invocation: Invocation = {
      requestId,
      invokedArn: `arn:aws:lambda:us-east-1:111111111111:function:${name}${qualifier && `:${qualifier}`}`,
      version,
      payload: Buffer.from("{}"),
      logTail: false,
      streaming,
      traceId: "t",
      arrivedAt: performance.now(),
      get cancelled() {
        return call.cancelled;
      },
      waited: false,
      waiting() {},
      started() {},
      chunk: (bytes, contentType, left) => void chunks.push({ requestId, text: Buffer.from(bytes).toString(), contentType, left }),
      finish(outcome) {
        if (outcomes.has(requestId)) throw new Error(`${requestId} ended twice`);
        outcomes.set(requestId, outcome);
      },
    };
    const entry = registry.find("team", name);
    if (!entry) throw new Error("no such function");
    dispatchers.submit(entry, invocation);
    return {
      outcome: () => outcomes.get(requestId),
      cancel: () => {
        call.cancelled = true;
      },
    };
  }

  /** Lets an agent connect for a pod that was created. */
  async function connect(index: number, state: Hello["state"] = "unassigned"): Promise<Agent> {
    const made = created[index];
    if (!made) throw new Error(`there is no pod ${index}`);
    return connectPod(made.identity, state);
  }

  async function connectPod(identity: MadePod, state: Hello["state"], over: Partial<Hello> = {}): Promise<Agent> {
    const agent = new Agent(identity, state);
    const { namespace, podName, podUid } = identity;
    const admission = await environments.admit(
      { namespace, podName, podUid },
      { protocol: 1, token: "", podName, namespace, runtime: "python3.11", state, ...over },
    );
    if ("refused" in admission) {
      agent.closed = admission.refused;
      return agent;
    }
    agent.listener = admission.take({
      send: (frame) => agent.hear(frame),
      close: (code) => {
        agent.closed = code;
      },
    });
    agent.answerEpoch();
    agents.set(podName, agent);
    return agent;
  }

  /** Shows a pod as the watch does. */
  function watch(
    identity: MadePod,
    over: { nodeName?: string; status?: Pod["status"]; deleted?: boolean; provisioned?: string; ageMs?: number } = {},
  ): void {
    const { namespace, podName, podUid, assignmentId } = identity;
    const pod: Pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: podName,
        namespace,
        uid: podUid,
        annotations: {
          [Annotation.assignment]: assignmentId,
          ...(over.provisioned === undefined ? {} : { [Annotation.provisioned]: over.provisioned }),
        },
        creationTimestamp: new Date(Date.now() - (over.ageMs ?? 3_600_000)).toISOString(),
        ...(over.deleted ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
      },
      ...(over.nodeName === undefined ? {} : { spec: { nodeName: over.nodeName } }),
      status: over.status ?? { phase: "Running" },
    };
    environments.putPod(trimPod(pod));
  }

  const pod = (index: number): MadePod => {
    const identity = created[index]?.identity;
    if (!identity) throw new Error(`there is no pod ${index}`);
    return identity;
  };
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  return {
    metrics,
    registry,
    environments,
    dispatchers,
    suspects,
    followers,
    control,
    created,
    removed,
    chunks,
    outcomes,
    put,
    putVersion,
    putAlias,
    ownership,
    invoke,
    connect,
    connectPod,
    watch,
    pod,
    pass,
  };
}
