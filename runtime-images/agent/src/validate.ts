/** Checks of the headers that gateways send: their type is only claimed until these have passed. */
import type { Assignment, Credit, Invoke, Member, RoleToken, Shutdown, Welcome } from "../../../operator/src/api/environment-protocol.ts";
import { FrameError } from "../../../operator/src/api/environment-protocol.ts";
import { MAX_MEMBERS } from "./limits.ts";

type Check = (value: unknown) => boolean;
type Shape<T> = { [K in keyof T]-?: Check };

const text: Check = (value) => typeof value === "string" && value !== "";
const anyText: Check = (value) => typeof value === "string";
const flag: Check = (value) => typeof value === "boolean";
const oneOf =
  (...values: string[]): Check =>
  (value) =>
    values.some((allowed) => allowed === value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const integer =
  (min: number, max: number): Check =>
  (value) =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
const matching =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === "string" && pattern.test(value);
/** A value of an environment variable. */
const variable: Check = (value) => text(value) && !String(value).includes("\0");
const object = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const shaped =
  <T>(shape: Shape<T>): Check =>
  (value) =>
    object(value) && Object.entries<Check>(shape).every(([name, check]) => check(value[name]));
/** What execve(2) takes: no NUL anywhere and a name without `=`. */
const variables: Check = (value) =>
  object(value) &&
  Object.entries(value).every(([name, text]) => /^[^=\0]+$/.test(name) && typeof text === "string" && !text.includes("\0"));

const MEMBER: Shape<Member> = { name: text, address: matching(/^[^\s/@]+:\d{1,5}$/) };
const WELCOME: Shape<Welcome> = {
  members: (value) => Array.isArray(value) && value.length <= MAX_MEMBERS && value.every(shaped(MEMBER)),
  epoch: integer(0, Number.MAX_SAFE_INTEGER),
  owner: optional(text),
  ticket: optional(text),
};
const SHUTDOWN: Shape<Shutdown> = { reason: oneOf("idle", "replaced", "failed", "drain") };
const INVOKE: Shape<Invoke> = {
  // It becomes part of a path and of log lines.
  requestId: matching(/^[\w-]{1,128}$/),
  deadlineMs: integer(0, Number.MAX_SAFE_INTEGER),
  invokedFunctionArn: text,
  traceId: optional(anyText),
  clientContext: optional(anyText),
  cognitoIdentity: optional(anyText),
  logTail: flag,
  epoch: integer(0, Number.MAX_SAFE_INTEGER),
};
const ASSIGNMENT: Shape<Assignment> = {
  assignmentId: text,
  functionName: text,
  version: text,
  functionArn: text,
  handler: anyText,
  // Lambda's bounds (LAMBDA.md, Limits); also what timers can count.
  memorySize: integer(128, 10_240),
  timeout: integer(1, 900),
  environment: variables,
  region: text,
  accountId: text,
  initializationType: oneOf("on-demand", "provisioned-concurrency"),
  code: shaped<Assignment["code"]>({ sha256: matching(/^[0-9a-f]{64}$/), size: integer(1, Number.MAX_SAFE_INTEGER) }),
  logging: shaped<Assignment["logging"]>({
    format: oneOf("Text", "JSON"),
    group: anyText,
    stream: anyText,
    applicationLevel: optional(oneOf("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")),
    systemLevel: optional(oneOf("DEBUG", "INFO", "WARN")),
  }),
  credentials: shaped<Assignment["credentials"]>({ accessKeyId: variable, secretAccessKey: variable, sessionToken: variable }),
  lambdaEndpoint: matching(/^https?:\/\/[^\s\0]+$/),
  pass: text,
  epoch: integer(0, Number.MAX_SAFE_INTEGER),
};
const ROLE_TOKEN: Shape<RoleToken> = { assignmentId: text, token: text, namespace: text, caCertificate: text };
const CREDIT: Shape<Credit> = { requestId: text, bytes: integer(1, Number.MAX_SAFE_INTEGER) };

/** @throws FrameError naming the member that is missing or not valid */
function check<T>(what: string, shape: Shape<T>, header: T): T {
  const members = header as Record<string, unknown>;
  for (const [name, valid] of Object.entries<Check>(shape))
    if (!valid(members[name])) throw new FrameError(`${what}: "${name}" is missing or not valid`);
  return header;
}

export const checkWelcome = (header: Welcome): Welcome => check("welcome", WELCOME, header);
export const checkAssignment = (header: Assignment): Assignment => check("assign", ASSIGNMENT, header);
export const checkInvoke = (header: Invoke): Invoke => check("invoke", INVOKE, header);
export const checkRoleToken = (header: RoleToken): RoleToken => check("roleToken", ROLE_TOKEN, header);
export const checkCredit = (header: Credit): Credit => check("credit", CREDIT, header);
export const checkShutdown = (header: Shutdown): Shutdown => check("shutdown", SHUTDOWN, header);
