/** The agent: the arbiter between the gateways, which offer an assignment and events, and the one environment. */
import {
  type AgentState,
  type Assignment,
  type Credit,
  type Frame,
  FrameError,
  FrameType,
  type Hello,
  type Invoke,
  PROTOCOL_VERSION,
  type RoleToken,
  type StateChange,
} from "../../../operator/src/api/environment-protocol.ts";
import { type AssignOutcome, Environment, type EnvironmentOptions } from "./environment/environment.ts";
import type { Caller } from "./environment/events.ts";
import type { Connection, ReceivedFrame } from "./gateways/connection.ts";
import { Gateways } from "./gateways/gateways.ts";
import { LARGE_EVENT_BYTES, STATE_CHANGE_DELAY_MS } from "./limits.ts";
import { describeError, type Log } from "./log.ts";
import { placePackage } from "./package/place.ts";
import { rehearse } from "./rehearsal.ts";
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
  #outcome: AssignOutcome | undefined;
  /** The state that all gateways were last told of; absent where some of them know another one. */
  #toldState: AgentState | undefined;
  #stateTimer: NodeJS.Timeout | undefined;
  /** The gateway whose frame changed the state last: it knows from the answer, which a late `stateChange` would contradict. */
  #cause: Connection | undefined;
  /** The event that runs and who asked for it. */
  #running: { from: Connection; requestId: string } | undefined;
  #lonelyTimer: NodeJS.Timeout | undefined;
  #ending = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { settings, log } = options;
    this.#roleToken = new RoleTokenFiles(settings.roleFolder);
    this.#environment = new Environment({
      ...settings,
      ...options.environment,
      onState: (state) => this.#tellLater(state),
      onNote: (message, fields) => log.warn(message, fields),
    });
    this.#gateways = new Gateways({
      host: settings.gatewayHost,
      port: settings.gatewayPort,
      firstAddresses: settings.gatewayAddresses,
      needsTicket: settings.pooled,
      podName: settings.podName,
      tokenFile: settings.tokenFile,
      log,
      random: options.random,
      hello: () => this.#hello(),
      onFrame: (from, frame) => this.#onFrame(from, frame),
      onWelcome: (from) => this.#onWelcome(from),
      onLost: (connection) => this.#onLost(connection),
      onCount: (connected) => this.#onCount(connected),
      inUse: (connection) => this.#running?.from === connection,
    });
  }

  async start(): Promise<void> {
    await this.#environment.listen(this.#options.settings.runtimeApiPort);
    this.#onCount(0);
    this.#gateways.start();
    if (this.#options.settings.pooled) await this.#rehearse();
  }

  async #rehearse(): Promise<void> {
    try {
      await rehearse(this.#options.settings.tmp, () => this.#environment.assignment === undefined);
    } catch (error) {
      this.#options.log.warn("the rehearsal failed; the first start of a function takes longer", { error: describeError(error) });
    }
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

  #hello(): Omit<Hello, "token" | "ticket"> {
    const { podName, podNamespace, runtime } = this.#options.settings;
    const { state } = this.#environment;
    return { protocol: PROTOCOL_VERSION, podName, namespace: podNamespace, runtime, state, ...this.#held() };
  }

  #stateChange(state: AgentState): StateChange {
    return { state, epoch: this.#gateways.epoch, ...this.#held() };
  }

  /** What this agent was assigned, with the proof of it. */
  #held(): Pick<Hello, "assignmentId" | "pass"> {
    const { assignment } = this.#environment;
    return assignment ? { assignmentId: assignment.assignmentId, pass: assignment.pass } : {};
  }

  /** What became of the assignment goes first, so that no gateway takes a state for good without its reason. */
  #onWelcome(from: Connection): void {
    const { state } = this.#environment;
    if (this.#outcome) from.send(frameOf(this.#outcome));
    from.send({ type: FrameType.stateChange, header: this.#stateChange(state) });
    this.#answered(from, state);
  }

  #onFrame(from: Connection, frame: ReceivedFrame): void {
    switch (frame.type) {
      case FrameType.invoke:
        this.#invoke(from, checkInvoke(frame.header), frame.body);
        break;
      case FrameType.assign:
        void this.#assign(from, checkAssignment(frame.header), frame.body);
        break;
      case FrameType.credit:
        this.#credit(from, checkCredit(frame.header));
        break;
      case FrameType.roleToken:
        this.#renewRoleToken(checkRoleToken(frame.header));
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
    const before = this.#running;
    this.#running = { from, requestId };
    const mayAct = this.#gateways.mayAct(from, invoke.epoch);
    if (!mayAct || !this.#environment.invoke(invoke, payload, this.#caller(from, requestId, payload.length))) {
      this.#running = before;
      from.send({ type: FrameType.busy, header: { requestId } });
      this.#answered(from, "busy");
      // Where nothing runs, since a later view has another owner, no event's end would take it back.
      this.#tellLater(this.#environment.state);
      return;
    }
    this.#cause = from;
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
        if (this.#running?.requestId === requestId) this.#running = undefined;
        // The gateway that asked is gone: its caller has got an error already, and nobody else may have the answer.
        if (!from.send({ type: FrameType.result, header: result }, body, () => relieve(bytes)))
          log.warn("the result of an event had nobody to go to: the connection to its gateway is lost", { requestId });
        // It may have been kept for this answer alone.
        this.#gateways.follow();
      },
    };
  }

  #credit(from: Connection, { requestId, bytes }: Credit): void {
    if (this.#running?.from === from) this.#environment.credit(requestId, bytes);
  }

  #onLost(connection: Connection): void {
    if (this.#running?.from === connection) this.#environment.callerLost(this.#running.requestId);
  }

  async #assign(from: Connection, assignment: Assignment, code: Uint8Array): Promise<void> {
    const { assignmentId } = assignment;
    const refusal = this.#refusal(from, assignment);
    if (refusal !== undefined) {
      const header = { assignmentId, kind: "refused" as const, errorType: "ServiceException", message: refusal };
      from.send({ type: FrameType.assignmentFailed, header });
      return;
    }
    if (this.#outcome) {
      from.send(frameOf(this.#outcome));
      return;
    }
    this.#cause = from;
    if (this.#environment.assignment) return;
    this.#environment.accept(assignment);
    this.#gateways.eraseTicket();
    // Before its code runs, so that no gateway takes this pod for an unassigned one when the code dials too.
    if (this.#options.settings.pooled) this.#tell("busy");
    const outcome = await this.#environment.begin((empty) =>
      placePackage(assignment.code, code, from.address, { ...this.#options.settings, empty }),
    );
    if ("failed" in outcome) {
      const { kind, errorType, message } = outcome.failed;
      this.#options.log.warn("the assignment failed", { assignmentId, kind, errorType, error: message });
    }
    this.#outcome = outcome;
    // To all: the gateway that assigned it may be gone, and whoever owns the function then is to know.
    this.#gateways.broadcast(frameOf(outcome));
    if ("failed" in outcome) this.#tellAll("failed");
  }

  /** Why an assignment is not taken. */
  #refusal(from: Connection, { assignmentId, epoch }: Assignment): string | undefined {
    const held = this.#environment.assignment?.assignmentId;
    if (this.#ending) return "The environment is shutting down.";
    if (held !== undefined && held !== assignmentId) return `The environment already holds the assignment ${held}.`;
    return this.#gateways.mayAct(from, epoch) ? undefined : "Another gateway owns the function in a later view.";
  }

  #renewRoleToken(token: RoleToken): void {
    // Its sender's assignment was refused, and this is another function.
    if (token.assignmentId !== this.#environment.assignment?.assignmentId) return;
    try {
      this.#roleToken.write(token);
    } catch (error) {
      this.#options.log.error("the role's Kubernetes token could not be written; the environment pod mounts a volume for it", {
        folder: this.#options.settings.roleFolder,
        error: describeError(error),
      });
    }
  }

  /** Tells the gateways, but not of a state that lasts no longer than a short event: whoever asks meanwhile hears `busy`. */
  #tellLater(state: AgentState): void {
    // After the outcome of the assignment, which says why.
    if (state === "failed") return;
    if (state === "unassigned") {
      this.#tellAll(state);
      return;
    }
    this.#stateTimer ??= setTimeout(() => {
      this.#stateTimer = undefined;
      this.#tell(this.#environment.state);
    }, STATE_CHANGE_DELAY_MS);
  }

  /** At once, and no gateway knows it from an answer. */
  #tellAll(state: AgentState): void {
    clearTimeout(this.#stateTimer);
    this.#stateTimer = undefined;
    this.#cause = undefined;
    this.#tell(state);
  }

  /** One gateway alone was told a state. It knows that now, whatever its own event came to, and is to hear of the next one like any other. */
  #answered(to: Connection, state: AgentState): void {
    if (state !== this.#toldState) this.#toldState = undefined;
    if (to === this.#cause) this.#cause = undefined;
  }

  #tell(state: AgentState): void {
    if (state === this.#toldState) return;
    this.#toldState = state;
    this.#gateways.broadcast({ type: FrameType.stateChange, header: this.#stateChange(state) }, this.#cause);
  }

  #onCount(connected: number): void {
    clearTimeout(this.#lonelyTimer);
    if (connected > 0 || this.#ending) return;
    const { withoutGatewayMs } = this.#options.settings;
    // With an event running, `end` waits for it.
    this.#lonelyTimer = setTimeout(() => void this.end(`no gateway for ${withoutGatewayMs / 1000} s`), withoutGatewayMs);
  }
}

function frameOf(outcome: AssignOutcome): Frame {
  if ("assigned" in outcome) return { type: FrameType.assigned, header: outcome.assigned };
  return { type: FrameType.assignmentFailed, header: outcome.failed };
}
