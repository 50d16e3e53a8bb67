/** The agent: the arbiter between the gateways, which offer an assignment and events, and the one environment. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type AgentState,
  type Assignment,
  type Credit,
  FrameError,
  FrameType,
  type Hello,
  type Invoke,
  PROTOCOL_VERSION,
  type RoleToken,
} from "../../../operator/src/api/environment-protocol.ts";
import { type AssignOutcome, type Caller, Environment, type EnvironmentOptions } from "./environment/environment.ts";
import type { Connection, ReceivedFrame } from "./gateways/connection.ts";
import { Gateways } from "./gateways/gateways.ts";
import { LARGE_EVENT_BYTES, STATE_CHANGE_DELAY_MS } from "./limits.ts";
import { describeError, type Log } from "./log.ts";
import { fetchPackage } from "./package/fetch.ts";
import { unpackPackage } from "./package/unpack.ts";
import { RoleTokenFiles } from "./role-token.ts";
import type { Settings } from "./settings.ts";
import { checkAssignment, checkCredit, checkInvoke, checkRoleToken, checkShutdown } from "./validate.ts";

export interface AgentOptions {
  settings: Settings;
  log: Log;
  random: () => number;
  environment: Pick<EnvironmentOptions, "outputFd" | "functionLog" | "processes" | "now" | "monotonic">;
  /** Told the size of each event that is over. */
  relieve: (bytes: number) => void;
  /** The agent's work is over: exit. */
  onDone: (reason: string) => void;
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #environment: Environment;
  readonly #gateways: Gateways;
  readonly #roleToken: RoleTokenFiles;
  /** Gateways that wait for the outcome of the assignment. */
  readonly #assigners = new Set<Connection>();
  #outcome: AssignOutcome | undefined;
  /** The state that the gateways were last told of. */
  #toldState: AgentState = "unassigned";
  #stateTimer: NodeJS.Timeout | undefined;
  /** The gateway whose frame changed the state last: it knows from the answer, which a late `stateChange` would contradict. */
  #cause: Connection | undefined;
  /** The last event that was taken and who asked for it. */
  #running: { from: Connection; requestId: string } | undefined;
  #lonelyTimer: NodeJS.Timeout | undefined;
  #ending = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { settings, log } = options;
    this.#roleToken = new RoleTokenFiles(settings.roleFolder);
    const { runtime, runtimeRoot, taskRoot, cgroupRoot, maxFileBytes, inherited } = settings;
    this.#environment = new Environment({
      ...options.environment,
      runtime,
      runtimeRoot,
      taskRoot,
      cgroupRoot,
      maxFileBytes,
      inherited,
      onState: (state) => this.#tellLater(state),
      onNote: (message, fields) => log.warn(message, fields),
    });
    this.#gateways = new Gateways({
      host: settings.gatewayHost,
      port: settings.gatewayPort,
      firstAddresses: settings.gatewayAddresses,
      podName: settings.podName,
      tokenFile: settings.tokenFile,
      log,
      random: options.random,
      hello: () => this.#hello(),
      onFrame: (from, frame) => this.#onFrame(from, frame),
      onLost: (connection) => this.#onLost(connection),
      onCount: (connected) => this.#onCount(connected),
    });
  }

  async start(): Promise<void> {
    await this.#environment.listen(this.#options.settings.runtimeApiPort);
    this.#onCount(0);
    this.#gateways.start();
  }

  /** Finishes the running event, then ends. */
  async end(reason: string): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    clearTimeout(this.#lonelyTimer);
    await this.#environment.drain();
    clearTimeout(this.#stateTimer);
    await this.#gateways.stop(reason);
    this.#options.onDone(reason);
  }

  #hello(): Omit<Hello, "token"> {
    const { podName, podNamespace, runtime } = this.#options.settings;
    const { state, assignmentId } = this.#environment;
    return {
      protocol: PROTOCOL_VERSION,
      podName,
      namespace: podNamespace,
      runtime,
      state,
      ...(assignmentId === undefined ? {} : { assignmentId }),
    };
  }

  #onFrame(from: Connection, frame: ReceivedFrame): void {
    switch (frame.type) {
      case FrameType.invoke:
        this.#invoke(from, checkInvoke(frame.header), frame.body);
        break;
      case FrameType.assign:
        void this.#assign(from, checkAssignment(frame.header));
        break;
      case FrameType.credit:
        this.#credit(from, checkCredit(frame.header));
        break;
      case FrameType.roleToken:
        void this.#renewRoleToken(checkRoleToken(frame.header));
        break;
      case FrameType.shutdown:
        void this.end(`shutdown: ${checkShutdown(frame.header).reason}`);
        break;
      default:
        throw new FrameError(`frame type ${frame.type} is not for an agent`);
    }
  }

  #invoke(from: Connection, invoke: Invoke, payload: Uint8Array): void {
    const { requestId } = invoke;
    if (!this.#environment.invoke(invoke, payload, this.#caller(from, requestId, payload.length))) {
      from.send({ type: FrameType.busy, header: { requestId } });
      return;
    }
    this.#cause = from;
    this.#running = { from, requestId };
  }

  /** @param size bytes of the payload */
  #caller(from: Connection, requestId: string, size: number): Caller {
    const { relieve, log } = this.#options;
    let streamed = 0;
    return {
      chunk: (bytes, contentType) => {
        const header = { requestId, ...(contentType === undefined ? {} : { contentType }) };
        from.send({ type: FrameType.responseChunk, header }, [bytes]);
        streamed += bytes.length;
        if (streamed < LARGE_EVENT_BYTES) return;
        // A long response is many large events.
        relieve(streamed);
        streamed = 0;
      },
      result: (result, body) => {
        const bytes = body.reduce((sum, piece) => sum + piece.length, size);
        // The gateway that asked is gone: its caller has got an error already, and nobody else may have the answer.
        if (!from.send({ type: FrameType.result, header: result }, body, () => relieve(bytes)))
          log.warn("the result of an event had nobody to go to: the connection to its gateway is lost", { requestId });
      },
    };
  }

  #credit(from: Connection, { requestId, bytes }: Credit): void {
    if (this.#running?.from === from) this.#environment.credit(requestId, bytes);
  }

  #onLost(connection: Connection): void {
    if (this.#running?.from === connection) this.#environment.callerLost(this.#running.requestId);
  }

  async #assign(from: Connection, assignment: Assignment): Promise<void> {
    const held = this.#environment.assignmentId;
    if (this.#ending || (held !== undefined && held !== assignment.assignmentId)) {
      const message = this.#ending ? "The environment is shutting down." : `The environment already holds the assignment ${held}.`;
      const header = { assignmentId: assignment.assignmentId, kind: "refused" as const, errorType: "ServiceException", message };
      from.send({ type: FrameType.assignmentFailed, header });
      return;
    }
    if (this.#outcome) {
      sendOutcome(from, this.#outcome);
      return;
    }
    this.#assigners.add(from);
    this.#cause = from;
    if (held !== undefined) return;
    const outcome = await this.#environment.assign(assignment, () => this.#preparePackage(from, assignment));
    if ("failed" in outcome) {
      const { kind, errorType, message } = outcome.failed;
      this.#options.log.warn("the assignment failed", { assignmentId: assignment.assignmentId, kind, errorType, error: message });
    }
    this.#outcome = outcome;
    for (const assigner of this.#assigners) sendOutcome(assigner, outcome);
  }

  async #preparePackage(from: Connection, assignment: Assignment): Promise<void> {
    const { settings } = this.#options;
    const archive = join(settings.tmp, `.kappa-${assignment.code.sha256.slice(0, 16)}.zip`);
    try {
      const token = (await readFile(settings.tokenFile, "utf8")).trim();
      await fetchPackage({ gateway: from.address, token, ...assignment.code }, archive);
      await unpackPackage(archive, settings.unpackRoot);
    } finally {
      await rm(archive, { force: true });
    }
  }

  async #renewRoleToken(token: RoleToken): Promise<void> {
    try {
      await this.#roleToken.write(token);
    } catch (error) {
      this.#options.log.error("the role's Kubernetes token could not be written; the environment pod mounts a volume for it", {
        folder: this.#options.settings.roleFolder,
        error: describeError(error),
      });
    }
  }

  /** Tells the gateways, but not of a state that lasts no longer than a short event: whoever asks meanwhile hears `busy`. */
  #tellLater(state: AgentState): void {
    if (state === "failed") {
      clearTimeout(this.#stateTimer);
      this.#cause = undefined;
      this.#tell(state);
      return;
    }
    this.#stateTimer ??= setTimeout(() => {
      this.#stateTimer = undefined;
      this.#tell(this.#environment.state);
    }, STATE_CHANGE_DELAY_MS);
  }

  #tell(state: AgentState): void {
    if (state === this.#toldState) return;
    this.#toldState = state;
    this.#gateways.broadcast({ type: FrameType.stateChange, header: { state, epoch: 0 } }, this.#cause);
  }

  #onCount(connected: number): void {
    clearTimeout(this.#lonelyTimer);
    if (connected > 0 || this.#ending) return;
    const { withoutGatewayMs } = this.#options.settings;
    // With an event running, `end` waits for it.
    this.#lonelyTimer = setTimeout(() => void this.end(`no gateway for ${withoutGatewayMs / 1000} s`), withoutGatewayMs);
  }
}

function sendOutcome(to: Connection, outcome: AssignOutcome): void {
  if ("assigned" in outcome) to.send({ type: FrameType.assigned, header: outcome.assigned });
  else to.send({ type: FrameType.assignmentFailed, header: outcome.failed });
}
