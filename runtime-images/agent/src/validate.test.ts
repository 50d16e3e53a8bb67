import { describe, expect, test } from "vitest";
import type { Assignment, Invoke } from "../../../operator/src/api/environment-protocol.ts";
import { assignmentOf, zipOf } from "../testing/packages.ts";
import { checkAssignment, checkCredit, checkInvoke, checkRoleToken, checkShutdown, checkWelcome } from "./validate.ts";

const assignment = assignmentOf(zipOf({ "a.py": "" }));
const invoke: Invoke = { requestId: "a-1", deadlineMs: 1, invokedFunctionArn: "arn", logTail: false, epoch: 1 };

describe("headers from a gateway", () => {
  test("pass when they are whole", () => {
    expect(checkAssignment(assignment)).toBe(assignment);
    expect(checkInvoke({ ...invoke, traceId: "t", clientContext: "{}" })).toMatchObject(invoke);
    expect(checkShutdown({ reason: "idle" })).toEqual({ reason: "idle" });
    expect(checkWelcome({ members: [{ name: "g", address: "[fd00::1]:8081" }], epoch: 1 }).members).toHaveLength(1);
  });

  test.each<[string, Record<string, unknown>]>([
    ["assignmentId", { assignmentId: "" }],
    ["timeout", { timeout: 901 }],
    ["timeout", { timeout: 1.5 }],
    ["memorySize", { memorySize: 64 }],
    ["environment", { environment: { "A=B": "x" } }],
    ["environment", { environment: { A: "x\0y" } }],
    ["environment", { environment: ["x"] }],
    ["code", { code: { sha256: "../../etc/passwd", size: 1 } }],
    ["code", { code: { sha256: "a".repeat(64), size: 0 } }],
    ["logging", { logging: { format: "XML", group: "g", stream: "s" } }],
    ["initializationType", { initializationType: "other" }],
    ["logging", { logging: { format: "JSON", group: "g", stream: "s", applicationLevel: "LOUD" } }],
    ["logging", { logging: { format: "JSON", group: "g", stream: "s", systemLevel: "TRACE" } }],
    ["credentials", { credentials: undefined }],
    ["credentials", { credentials: { accessKeyId: "ASIA", secretAccessKey: "x", sessionToken: "" } }],
    ["credentials", { credentials: { accessKeyId: "ASIA", secretAccessKey: "x\0", sessionToken: "s" } }],
    ["lambdaEndpoint", { lambdaEndpoint: "file:///etc/passwd" }],
    ["handler", { handler: undefined }],
    ["pass", { pass: "" }],
    ["epoch", { epoch: -1 }],
  ])("of an assignment are refused with the name of what is wrong: %s", (name, over) => {
    expect(() => checkAssignment({ ...assignment, ...over } as Assignment)).toThrow(`assign: "${name}" is missing or not valid`);
  });

  test.each<[string, Record<string, unknown>]>([
    ["requestId", { requestId: "../x" }],
    ["requestId", { requestId: "a\r\nX: y" }],
    ["deadlineMs", { deadlineMs: "soon" }],
    ["traceId", { traceId: 5 }],
    ["logTail", { logTail: "yes" }],
  ])("of an event are refused with the name of what is wrong: %s", (name, over) => {
    expect(() => checkInvoke({ ...invoke, ...over } as Invoke)).toThrow(`invoke: "${name}"`);
  });

  test("that renew the role's token or give credit are refused when a member is missing", () => {
    const token = { assignmentId: "uid/1/a", token: "t", namespace: "team", caCertificate: "PEM" };
    expect(checkRoleToken(token)).toBe(token);
    expect(() => checkRoleToken({ ...token, token: "" })).toThrow('roleToken: "token"');
    expect(() => checkRoleToken({ ...token, assignmentId: "" })).toThrow('roleToken: "assignmentId"');
    expect(checkCredit({ requestId: "a", bytes: 1 })).toEqual({ requestId: "a", bytes: 1 });
    expect(() => checkCredit({ requestId: "a", bytes: -1 })).toThrow('credit: "bytes"');
  });

  test("with members that are no addresses are refused", () => {
    expect(() => checkWelcome({ members: [{ name: "g", address: "http://evil/path:1" }], epoch: 1 })).toThrow('welcome: "members"');
    expect(() => checkWelcome({} as never)).toThrow('welcome: "members"');
    expect(() => checkShutdown({ reason: "other" } as never)).toThrow('shutdown: "reason"');
  });
});
