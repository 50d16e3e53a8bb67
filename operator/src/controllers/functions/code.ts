/** Where a function's code comes from, and whether what is known about it still holds. Pure. */
import { createHash } from "node:crypto";
import type { FunctionCode, Function as LambdaFunction } from "../../api/types.generated.ts";
import { KappaError } from "../../domain/errors.ts";
import { type CodeOutcome, isInForce } from "./decide.ts";
import { digestOf, isDigest } from "./held-code.ts";
import { inlinePackage } from "./inline-package.ts";

/** The sources that are packages; images are not. */
export type SourceKind = "inline" | "zip" | "configMap" | "object" | "url";

/** The data of a ConfigMap, as the API has it. */
export interface ConfigMapData {
  data?: Record<string, string>;
  /** Base64. */
  binaryData?: Record<string, string>;
}

/** A ConfigMap that exists, with its data where it is: it may be large, and most of the time nobody wants it. */
export interface ConfigMapHandle {
  uid: string;
  resourceVersion: string;
  /** Its data as it is now; undefined when it is gone meanwhile. */
  read: () => Promise<ConfigMapData | undefined>;
}

/** One function's source, ready to be read. */
export interface CodeSource {
  kind: SourceKind;
  /** Equal for equal sources: code that was read under an identity is not read again under it. */
  identity: string;
  /** SHA-256 that the package must have, hexadecimal. */
  declaredSha256?: string;
  /** The package's bytes, where they are in the resources themselves, which may change meanwhile (K204); absent when they have to be fetched. */
  bytes?: () => Promise<Uint8Array>;
}

/**
 * Finds the source of a function's code.
 * @param configMap the ConfigMap that `spec.code.configMap` names, when it exists
 * @param read the Function as the API server has it: caches keep digests of long code (held-code.ts)
 * @returns undefined for container images
 * @throws KappaError K204 when the ConfigMap is not there yet
 */
export function codeSource(
  fn: LambdaFunction,
  configMap: ConfigMapHandle | undefined,
  read: () => Promise<LambdaFunction | undefined>,
): CodeSource | undefined {
  const { code, runtime = "", handler = "" } = fn.spec;
  const kind = kindOf(code);
  switch (kind) {
    case undefined:
      return undefined;
    case "inline": {
      const text = code.inline ?? "";
      const bytes = async () =>
        inlinePackage({ runtime, handler, text: await wholeText(text, async () => (await read())?.spec.code.inline) });
      return { kind, identity: identityOf(kind, runtime, handler, digestOf(text)), bytes };
    }
    case "zip": {
      const base64 = code.zip ?? "";
      const bytes = async () => decodeBase64(await wholeText(base64, async () => (await read())?.spec.code.zip), "spec.code.zip");
      return { kind, identity: identityOf(kind, digestOf(base64)), bytes };
    }
    case "configMap": {
      const { name = "", key = "" } = code.configMap ?? {};
      const missing = `ConfigMap ${name} does not exist in namespace ${fn.metadata.namespace ?? ""}`;
      if (configMap === undefined) throw new KappaError("K204", missing);
      const { uid, resourceVersion, read } = configMap;
      const bytes = async () => {
        const found = await read();
        if (found === undefined) throw new KappaError("K204", missing);
        return fromConfigMap(found, { name, key, runtime, handler });
      };
      return { kind, identity: identityOf(kind, uid, resourceVersion, key, runtime, handler), bytes };
    }
    case "object":
      return { kind, identity: identityOf(kind, code.object?.bucket ?? "", code.object?.key ?? "") };
    case "url": {
      const { url = "", sha256 = "" } = code.url ?? {};
      return { kind, identity: identityOf(kind, url, sha256), declaredSha256: sha256 };
    }
  }
}

/**
 * What is known of the code without reading it.
 * @param remembered what became of the code when it was last read, and under which identity
 * @param lost whether the package in force is no longer in the store
 */
export function knownOutcome(
  fn: LambdaFunction,
  source: CodeSource,
  remembered: { identity: string; outcome: CodeOutcome } | undefined,
  lost: boolean,
): CodeOutcome | undefined {
  if (lost) return undefined;
  if (remembered?.identity === source.identity) return remembered.outcome;
  const effective = fn.status?.effective;
  if (effective === undefined) return undefined;
  const stored: CodeOutcome = { kind: "stored", stored: { sha256: effective.packageSha256, size: effective.codeSize } };
  if (source.declaredSha256 === effective.packageSha256) return stored;
  // After a restart nothing is remembered, but a status that speaks of this very spec does. A ConfigMap may change without it.
  return isInForce(fn) && source.kind !== "configMap" ? stored : undefined;
}

function kindOf(code: FunctionCode): SourceKind | undefined {
  const kinds: SourceKind[] = ["inline", "zip", "configMap", "object", "url"];
  return kinds.find((kind) => code[kind] !== undefined);
}

function fromConfigMap(found: ConfigMapData, of: { name: string; key: string; runtime: string; handler: string }): Uint8Array {
  const { name, key, runtime, handler } = of;
  const where = `Key ${key} of ConfigMap ${name}`;
  const base64 = found.binaryData?.[key];
  if (base64 !== undefined) return decodeBase64(base64, where);
  const text = found.data?.[key];
  if (text === undefined) throw new KappaError("K204", `${where} does not exist`);
  return inlinePackage({ runtime, handler, text });
}

/** @throws KappaError K204 when the code has changed since the cache took its digest; the cache will tell */
async function wholeText(text: string, read: () => Promise<string | undefined>): Promise<string> {
  if (!isDigest(text)) return text;
  const whole = await read();
  if (whole === undefined || digestOf(whole) !== text) throw new KappaError("K204", "The code was changed while it was read");
  return whole;
}

function identityOf(...parts: string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest("hex");
}

/** `Buffer.from` skips what is no base64, and would make a package of the rest. */
function decodeBase64(text: string, where: string): Uint8Array {
  const compact = text.replace(/\s+/g, "");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact) || compact.length % 4 !== 0) throw new KappaError("K200", `${where} is not base64`);
  return Buffer.from(compact, "base64");
}
