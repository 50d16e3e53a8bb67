/**
 * The wire protocol between an environment's agent and the gateways: one WebSocket per gateway, dialled by the agent.
 *
 * Every WebSocket message is binary and holds one frame:
 *
 *     u8 type · u32 big-endian length of the header · header (UTF-8 JSON) · body (the rest; opaque bytes)
 *
 * The header is small and typed below; payloads of invocations travel in the body, so they are never parsed or copied as text.
 * Both sides refuse a frame that does not decode and close the connection with a code from {@link CloseCode}.
 */

/** Raised when a frame changes incompatibly; an agent of another version is refused with {@link CloseCode.versionMismatch}. */
export const PROTOCOL_VERSION = 4;

/** Path of the agents' WebSocket on the gateway's agent port. */
export const CONNECT_PATH = "/v1/connect";

/** Path of the package download on the gateway's agent port: `GET /v1/packages/{sha256 in hex}` with the agent's bearer token. */
export const PACKAGES_PATH = "/v1/packages/";

/** Audience of the projected token that an agent shows. */
export const TOKEN_AUDIENCE = "gateway.kappa.dev";

/** Bytes before the header: type and header length. */
export const FRAME_PREFIX = 5;

/** Largest header accepted, bytes. Environment variables (4 KB) and a client context (3,583 B) fit many times over. */
export const MAX_HEADER = 256 * 1024;

/** Largest body accepted, bytes: Lambda's largest response (6 MiB + 100 B) with room for one log tail. */
export const MAX_BODY = 8 * 1024 * 1024;

/**
 * Bytes of a streamed response that an agent may have sent without a {@link Credit} for them. It bounds what a slow caller costs
 * the gateway; the WebSocket itself is never paused, because pings travel on it.
 */
export const STREAM_WINDOW = 1024 * 1024;

/** Largest streamed response, bytes (Lambda's quota). */
export const MAX_STREAMED = 200 * 1024 * 1024;

/** Characters of the message in {@link Assigned.initError}. */
export const MAX_INIT_MESSAGE = 1024;

/** Packages up to so many bytes travel as the body of `assign`: one round trip less. */
export const INLINE_PACKAGE = 512 * 1024;

export const CloseCode = {
  /** The other side is going away in an orderly way; the agent reconnects to the remaining members. */
  goingAway: 1001,
  /** A frame could not be decoded or came out of turn. */
  protocolError: 4400,
  /** The token was not valid for this pod. */
  unauthorized: 4401,
  /** The pod already has a connection to this gateway. */
  duplicate: 4409,
  /** Agent to gateway: it keeps its connections to the members of a later view, of which this gateway is none. It has not ended. */
  notMember: 4410,
  /** The two sides speak different protocol versions. */
  versionMismatch: 4426,
} as const;

/**
 * What an agent is doing, told in `hello` so that a gateway that just started knows what it finds. `warming`: it belongs to a pool, has
 * no assignment, and its zygote is not ready; it can be assigned already, and is slower then.
 */
export type AgentState = "warming" | "unassigned" | "assigned" | "busy" | "failed";

/**
 * Orders the gateways' views of who owns what: a later view has a larger number. Taken from the clock in milliseconds, or one more than
 * the largest one heard of, whichever is more.
 */
export type Epoch = number;

/** First frame on a connection, agent to gateway. */
export interface Hello {
  protocol: number;
  /** Projected service account token, audience {@link TOKEN_AUDIENCE}. */
  token: string;
  podName: string;
  namespace: string;
  runtime: string;
  state: AgentState;
  /** The assignment the agent already holds, when it has one. */
  assignmentId?: string;
  /** With an assignment: what came with it, see {@link Assignment.pass}. */
  pass?: string;
  /** Without one, in a pool: what the first gateway gave it, see {@link Welcome.ticket}. */
  ticket?: string;
}

/** A gateway that agents can dial. */
export interface Member {
  /** Pod name of the gateway, unique. */
  name: string;
  /** `host:port` of its agent port. */
  address: string;
}

/** Gateway to agent after `hello` was accepted, and again whenever the members change. */
export interface Welcome {
  /** The agent keeps connections to these and ends all others, once it has one of them. */
  members: Member[];
  /** Of this view of the gateways. The agent answers one that it has not seen with `stateChange`. */
  epoch: Epoch;
  /** In this view, the member that owns the function. Absent for an agent without assignment. */
  owner?: string;
  /**
   * Proves to every gateway that a pooled agent is the agent and not the user's code, which shares its token: given once for each pod, by
   * the gateway that made the pod, to the first that dials. The agent keeps it in memory and erases it before user code runs.
   * Of characters that JSON escapes it has none: the agent takes it out of the message before that is parsed.
   */
  ticket?: string;
}

/** Everything an environment needs to become one version of one function. */
export interface Assignment {
  /** Identifies function, code and configuration: environments with another id never serve this one's events. */
  assignmentId: string;
  functionName: string;
  /** `$LATEST` or a number. */
  version: string;
  /** ARN without qualifier. */
  functionArn: string;
  handler: string;
  /** MiB. */
  memorySize: number;
  /** Seconds; also the limit of one invocation. */
  timeout: number;
  /** The user's environment variables. */
  environment: Record<string, string>;
  region: string;
  accountId: string;
  initializationType: "on-demand" | "provisioned-concurrency";
  /** The package: the frame's body when that is not empty, else to be fetched from {@link PACKAGES_PATH}. */
  code: { sha256: string; size: number };
  logging: {
    format: "Text" | "JSON";
    group: string;
    stream: string;
    /** Lowest level that is kept of the function's own JSON log (`TRACE` … `FATAL`). */
    applicationLevel?: string;
    /** Lowest level that is kept of the platform's records (`DEBUG`, `INFO`, `WARN`). */
    systemLevel?: string;
  };
  /** What AWS's SDKs inside act as: the execution role. Valid for longer than the environment is kept. */
  credentials: AwsCredentials;
  /** Base URL of Lambda's API, for AWS_ENDPOINT_URL_LAMBDA. */
  lambdaEndpoint: string;
  /** Shows any gateway that this pod was given this assignment, before the pod's annotation says so. Of no use to any other pod. */
  pass: string;
  epoch: Epoch;
}

/** Temporary credentials as AWS's STS gives them; made and checked by the gateways alone. */
export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}

/**
 * Gateway to agent, after `assign` and again before the former one expires: the execution role's Kubernetes token, which the agent
 * puts where Kubernetes' clients look for it. It may arrive after the code has started, when the API server was slow.
 */
export interface RoleToken extends KubernetesToken {
  /** What it belongs to: the agent may have taken another gateway's assignment for another function. */
  assignmentId: string;
}

/** A token of a ServiceAccount, and what a client needs beside it. */
export interface KubernetesToken {
  token: string;
  /** Namespace of the ServiceAccount. */
  namespace: string;
  /** PEM of the API server's certificate authority. */
  caCertificate: string;
}

/**
 * Agent to every gateway, and again to each that welcomes it, since the one that assigned may be gone: the assignment was carried out.
 * The runtime asked for its first event, or failed to, and the next event starts it again.
 */
export interface Assigned {
  assignmentId: string;
  /** Milliseconds from the runtime's start, or from the order to its zygote, to the first `next` or to the failure. */
  initDurationMs: number;
  /** Why the runtime did not come to its first `next`: Lambda's error object, its message cut off after {@link MAX_INIT_MESSAGE}. */
  initError?: { errorType: string; message: string };
}

/**
 * Agent to the gateways, as {@link Assigned}: the environment cannot serve, and nothing of the function was started. Code that fails while it starts is no
 * such failure: the next event tries it again and is answered with the error.
 */
export interface AssignmentFailed {
  assignmentId: string;
  /**
   * `package`: the package could not be fetched, verified or unpacked. `refused`: the agent already holds another assignment, ends, or
   * knows a later epoch with another owner.
   */
  kind: "package" | "refused";
  errorType: string;
  message: string;
}

/** Gateway to agent: one event; the body is the payload. */
export interface Invoke {
  requestId: string;
  /** Epoch milliseconds at which the invocation times out. */
  deadlineMs: number;
  /** ARN as invoked, with qualifier if there was one. */
  invokedFunctionArn: string;
  /** Raw X-Ray header. */
  traceId?: string;
  /** JSON text, already base64-decoded. */
  clientContext?: string;
  cognitoIdentity?: string;
  /** Whether `Result.logTail` is wanted. */
  logTail: boolean;
  /** An agent answers `busy` to one that is older than a view in which somebody else owns the function. */
  epoch: Epoch;
}

/** How an invocation ended, and what it used. */
export interface Result {
  requestId: string;
  /** Absent on success. `Unhandled` or `Handled`, as in X-Amz-Function-Error. The body is then Lambda's error object. */
  functionError?: string;
  /** Lambda's error type of a failure, for metrics and state; not shown to callers by itself. */
  errorType?: string;
  durationMs: number;
  billedMs: number;
  /** Present on the first event of an environment. */
  initDurationMs?: number;
  maxMemoryMb: number;
  /** Last 4 KB of the log of this invocation, base64. */
  logTail?: string;
  /** The response went ahead of this frame as {@link ResponseChunk}s; the body is empty, or the error that ended the stream early. */
  streamed?: boolean;
  /** False when the runtime could not be restarted: the environment takes no further event. */
  reusable: boolean;
}

/** Agent to gateway: a part of a response that the runtime streams; the body is the bytes. A {@link Result} ends it. */
export interface ResponseChunk {
  requestId: string;
  /** With the first one: the runtime's Content-Type. */
  contentType?: string;
}

/** Gateway to agent: so many bytes of a streamed response have left the gateway; see {@link STREAM_WINDOW}. */
export interface Credit {
  requestId: string;
  bytes: number;
}

/** Agent to gateway: the event was not taken (another gateway's event is running, or the environment is not ready). Nothing ran. */
export interface Busy {
  requestId: string;
}

/** Gateway to agent: finish what is running, shut the runtime down, exit. */
export interface Shutdown {
  reason: "idle" | "replaced" | "failed" | "drain";
}

/** Agent to every gateway: the state changed because of another gateway's event; or the answer to a `welcome`, after the outcome. */
export interface StateChange {
  state: AgentState;
  /** The latest view that the agent knows of. */
  epoch: Epoch;
  /** As in {@link Hello}: a pooled agent was assigned by another gateway. */
  assignmentId?: string;
  pass?: string;
}

export const FrameType = {
  hello: 1,
  welcome: 2,
  assign: 3,
  assigned: 4,
  assignmentFailed: 5,
  invoke: 6,
  result: 7,
  busy: 8,
  shutdown: 9,
  stateChange: 10,
  roleToken: 11,
  responseChunk: 12,
  credit: 13,
} as const;

export type Frame =
  | { type: typeof FrameType.hello; header: Hello; body?: Uint8Array }
  | { type: typeof FrameType.welcome; header: Welcome; body?: Uint8Array }
  | { type: typeof FrameType.assign; header: Assignment; body?: Uint8Array }
  | { type: typeof FrameType.assigned; header: Assigned; body?: Uint8Array }
  | { type: typeof FrameType.assignmentFailed; header: AssignmentFailed; body?: Uint8Array }
  | { type: typeof FrameType.invoke; header: Invoke; body?: Uint8Array }
  | { type: typeof FrameType.result; header: Result; body?: Uint8Array }
  | { type: typeof FrameType.busy; header: Busy; body?: Uint8Array }
  | { type: typeof FrameType.shutdown; header: Shutdown; body?: Uint8Array }
  | { type: typeof FrameType.stateChange; header: StateChange; body?: Uint8Array }
  | { type: typeof FrameType.roleToken; header: RoleToken; body?: Uint8Array }
  | { type: typeof FrameType.responseChunk; header: ResponseChunk; body?: Uint8Array }
  | { type: typeof FrameType.credit; header: Credit; body?: Uint8Array };

/** A frame that does not decode. The message says what was wrong with it. */
export class FrameError extends Error {
  override name = "FrameError";
}

const KNOWN_TYPES = new Set<number>(Object.values(FrameType));

/** Encodes a frame into one WebSocket message. */
export function encodeFrame(frame: Frame): Uint8Array {
  const header = Buffer.from(JSON.stringify(frame.header));
  const body = frame.body;
  const message = Buffer.allocUnsafe(FRAME_PREFIX + header.length + (body?.length ?? 0));
  message.writeUInt8(frame.type, 0);
  message.writeUInt32BE(header.length, 1);
  header.copy(message, FRAME_PREFIX);
  if (body) message.set(body, FRAME_PREFIX + header.length);
  return message;
}

/**
 * Decodes one WebSocket message. The body is a view, not a copy.
 * Checks structure only; whoever acts on a header validates its fields.
 * @throws FrameError
 */
export function decodeFrame(message: Uint8Array): Frame & { body: Uint8Array } {
  if (message.length < FRAME_PREFIX) throw new FrameError(`a frame has at least ${FRAME_PREFIX} bytes, this one has ${message.length}`);
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const type = bytes.readUInt8(0);
  const headerLength = bytes.readUInt32BE(1);
  if (!KNOWN_TYPES.has(type)) throw new FrameError(`frame type ${type} is not known`);
  if (headerLength > MAX_HEADER || FRAME_PREFIX + headerLength > bytes.length)
    throw new FrameError(`header length ${headerLength} does not fit a message of ${bytes.length} bytes`);
  const bodyLength = bytes.length - FRAME_PREFIX - headerLength;
  if (bodyLength > MAX_BODY) throw new FrameError(`body of ${bodyLength} bytes is over the limit of ${MAX_BODY}`);
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString("utf8", FRAME_PREFIX, FRAME_PREFIX + headerLength));
  } catch {
    throw new FrameError("the header is not JSON");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) throw new FrameError("the header is not an object");
  return { type, header, body: bytes.subarray(FRAME_PREFIX + headerLength) } as Frame & { body: Uint8Array };
}
