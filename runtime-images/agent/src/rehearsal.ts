/**
 * Takes the way of an assignment and of an event once with made-up ones, while a pooled agent has nothing else to do. V8 compiles a
 * function when it is first called and Node loads parts of itself when they are first used; without this the first start of every
 * function would wait for that.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type Assignment, decodeFrame, encodeFrame, FrameType, type Invoke } from "../../../operator/src/api/environment-protocol.ts";
import { needsFreshStart } from "../../../operator/src/domain/start-variables.ts";
import { type Caller, Events } from "./environment/events.ts";
import { runtimeVariables, zygoteVariables } from "./environment/variables.ts";
import { REHEARSALS } from "./limits.ts";
import { FunctionLog } from "./logs/function-log.ts";
import { PlatformRecords } from "./logs/records.ts";
import { placePackage } from "./package/place.ts";
import { RuntimeApi } from "./runtime-api/server.ts";
import { checkAssignment, checkInvoke } from "./validate.ts";

/** An archive with one folder and one file. */
const ARCHIVE = Buffer.from(
  "UEsDBBQAAAAIALsDeF0AAAAAAgAAAAAAAAACAAAAYS8DAFBLAwQUAAAACAC7A3hdfPDiEAYAAAAoAAAAAQAAAGJL4iIOAgBQSwECFAMUAAAACAC7A3hdAAAAAAIAAAAAAAAAAgAAAAAAAAAAAAAApIEAAAAAYS9QSwECFAMUAAAACAC7A3hdfPDiEAYAAAAoAAAAAQAAAAAAAAAAAAAApIEiAAAAYlBLBQYAAAAAAgACAF8AAABHAAAAAAA=",
  "base64",
);

const ASSIGNMENT: Assignment = {
  assignmentId: "uid/1/rehearsal",
  functionName: "rehearsal",
  version: "1",
  functionArn: "arn:aws:lambda:us-east-1:000000000000:function:rehearsal",
  handler: "a.b",
  memorySize: 128,
  timeout: 60,
  environment: { NAME: "value" },
  region: "us-east-1",
  accountId: "000000000000",
  initializationType: "on-demand",
  code: { sha256: "1694259dc3b4c7d5bc7392dc883697c39e87a636aa8d357976b77e0a5f325274", size: ARCHIVE.length },
  logging: { format: "Text", group: "group", stream: "stream" },
  credentials: { accessKeyId: "id", secretAccessKey: "secret", sessionToken: "session" },
  lambdaEndpoint: "http://localhost",
  pass: "pass",
  epoch: 0,
};

const INVOKE: Invoke = {
  requestId: "rehearsal",
  deadlineMs: 0,
  invokedFunctionArn: ASSIGNMENT.functionArn,
  logTail: false,
  epoch: 0,
};

/**
 * @param tmp a folder that can be written; nothing is left in it
 * @param wanted false as soon as there is a real assignment: another round would only be in its way
 */
export async function rehearse(tmp: string, wanted: () => boolean): Promise<void> {
  for (let times = 0; times < REHEARSALS && wanted(); times++) {
    const folder = mkdtempSync(join(tmp, ".kappa-"));
    try {
      await rehearseAssignment(folder);
      await rehearseEvent();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

async function rehearseAssignment(folder: string): Promise<void> {
  const frame = decodeFrame(encodeFrame({ type: FrameType.assign, header: ASSIGNMENT, body: ARCHIVE }));
  if (frame.type !== FrameType.assign) return;
  const assignment = checkAssignment(frame.header);
  const input = { runtime: "python3.11", runtimeApi: "127.0.0.1:0", taskRoot: folder, runtimeRoot: folder, inherited: {} };
  needsFreshStart(zygoteVariables(input, 0), runtimeVariables({ ...input, assignment }));
  await placePackage(assignment.code, frame.body, "", { tmp: folder, unpackRoot: folder, empty: undefined, tokenFile: "" });
}

/** A runtime that asks for an event, answers it and asks for the next one. */
async function rehearseEvent(): Promise<void> {
  const { promise: answered, resolve: onResult } = Promise.withResolvers<void>();
  const now = () => new Date();
  const log = new FunctionLog({ sink: { write: () => true }, now, monotonic: () => performance.now(), onUnowned: () => {} });
  const records = new PlatformRecords("Text", now);
  log.configure("Text", records);
  const events: Events = new Events({
    log,
    now,
    monotonic: () => performance.now(),
    maxMemoryMb: () => 0,
    onAnswer: () => true,
    onDeadline: () => {},
    reusable: () => true,
    onComplete: () => {},
    onIdle: () => {},
  });
  events.configure({ assignment: ASSIGNMENT, records });
  const caller: Caller = { chunk: () => {}, result: () => onResult() };
  const api: RuntimeApi = new RuntimeApi({
    ready: () => {
      events.take(checkInvoke(INVOKE), ARCHIVE, caller);
      if (events.current) api.deliver(events.handOver(events.current));
    },
    response: (body) => events.respond(body),
    stream: (source) => events.stream(source),
    error: (errorType, body) => events.respond(body, { errorType }),
    initError: () => {},
    tooLarge: () => {},
    invalidMode: () => {},
  });
  try {
    const [host, port] = (await api.listen(0)).split(":");
    const runtime = connect(Number(port), host);
    runtime.on("error", onResult);
    runtime.once("data", () => runtime.write(call("POST", `${INVOKE.requestId}/response`)));
    runtime.write(call("GET", "next"));
    await answered;
    events.close();
    runtime.destroy();
  } finally {
    events.stopTimers();
    api.close();
  }
}

function call(method: string, path: string): string {
  return `${method} /2018-06-01/runtime/invocation/${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`;
}
