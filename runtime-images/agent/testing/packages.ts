/** Packages and assignments for tests. */
import { createHash } from "node:crypto";
import { type Zippable, zipSync } from "fflate";
import type { Assignment } from "../../../operator/src/api/environment-protocol.ts";

export interface TestPackage {
  bytes: Uint8Array;
  sha256: string;
}

/** A file by its content, or with its Unix mode (including the file type). */
export type TestFile = string | Uint8Array | { content: string; mode: number };

export function zipOf(files: Record<string, TestFile>): TestPackage {
  const entries: Zippable = {};
  for (const [name, file] of Object.entries(files)) {
    const { content, mode } = typeof file === "string" || file instanceof Uint8Array ? { content: file, mode: 0o100644 } : file;
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    // Unsigned: the file type is in the uppermost bits.
    entries[name] = [bytes, { os: 3, attrs: (mode << 16) >>> 0, level: 6 }];
  }
  const bytes = zipSync(entries);
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}

export function assignmentOf(code: TestPackage, over: Partial<Assignment> = {}): Assignment {
  return {
    assignmentId: `uid/$LATEST/${code.sha256.slice(0, 8)}`,
    functionName: "f",
    version: "$LATEST",
    functionArn: "arn:aws:lambda:us-east-1:000000000001:function:f",
    handler: "app.handler",
    memorySize: 128,
    timeout: 10,
    environment: {},
    region: "us-east-1",
    accountId: "000000000001",
    initializationType: "on-demand",
    code: { sha256: code.sha256, size: code.bytes.length },
    logging: { format: "Text", group: "/aws/lambda/f", stream: "2026/01/01/[$LATEST]0" },
    credentials: { accessKeyId: "ASIAKEY", secretAccessKey: "a-secret", sessionToken: "a-session" },
    lambdaEndpoint: "http://kappa-gateway.kappa-system.svc.cluster.local:8080",
    pass: "pass",
    epoch: 1,
    ...over,
  };
}
