/**
 * AWS Signature Version 4, verified by signing again (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
 * Own code instead of @smithy/signature-v4, against which the tests check it: that signer is asynchronous and derives more than
 * a verifier needs, and this runs on every invocation.
 */
import { createHmac, hash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { KappaError } from "../domain/errors.ts";

const ALGORITHM = "AWS4-HMAC-SHA256";
const SERVICE = "lambda";
const TERMINATOR = "aws4_request";
const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";

/** How far a caller's clock may be off, as AWS has it. */
const MAX_SKEW_MS = 5 * 60_000;

/** Headers that change what a request does; whoever sends one must have signed it. */
const MUST_BE_SIGNED = [
  "x-amz-client-context",
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-invocation-type",
  "x-amz-log-type",
  "x-amz-security-token",
] as const;

/** A request as it came over the wire, but for its body. */
export interface RequestHead {
  method: string;
  /** Path and query, not decoded. */
  target: string;
  headers: IncomingHttpHeaders;
}

/** What an Authorization header says. */
export interface SignatureClaim {
  accessKeyId: string;
  /** `YYYYMMDD`. */
  date: string;
  region: string;
  service: string;
  /** Lower-case names, in the order in which they were signed. */
  signedHeaders: string[];
  /** 64 hexadecimal digits. */
  signature: string;
}

/** Whether an Authorization header is a signature of this kind, complete or not. */
export function isSignature(authorization: string): boolean {
  return authorization.startsWith("AWS4-");
}

/**
 * Reads an Authorization header.
 * @throws KappaError K116 that names the missing part
 */
export function parseAuthorization(authorization: string): SignatureClaim {
  if (!authorization.startsWith(`${ALGORITHM} `)) throw new KappaError("K116", `Authorization header must start with ${ALGORITHM}`);
  const parts = new Map<string, string>();
  for (const part of authorization.slice(ALGORITHM.length).split(/[,\s]+/)) {
    const equals = part.indexOf("=");
    if (equals > 0) parts.set(part.slice(0, equals), part.slice(equals + 1));
  }
  const required = (name: string): string => {
    const value = parts.get(name);
    if (value) return value;
    throw new KappaError("K116", `Authorization header requires '${name}' parameter.`);
  };
  const [accessKeyId = "", date = "", region = "", service = "", terminator = "", ...rest] = required("Credential").split("/");
  if (accessKeyId === "" || terminator !== TERMINATOR || rest.length > 0)
    throw new KappaError("K116", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.");
  const signature = required("Signature");
  if (!/^[0-9a-f]{64}$/.test(signature)) throw new KappaError("K116", "Signature must be 64 hexadecimal digits.");
  return { accessKeyId, date, region, service, signedHeaders: required("SignedHeaders").split(";"), signature };
}

/** Derives the key that signs requests of one day: four HMACs, so callers keep it. */
export function signingKey(secretAccessKey: string, date: string, region: string): Buffer {
  const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
  return hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, date), region), SERVICE), TERMINATOR);
}

/**
 * Checks what a signature says of itself, for which the body is not needed.
 * @param now epoch milliseconds
 * @returns the time of signing as it was written
 * @throws KappaError K110 or K116 with AWS's text
 */
export function checkClaim(headers: IncomingHttpHeaders, claim: SignatureClaim, expected: { region: string; now: number }): string {
  if (claim.service !== SERVICE) throw new KappaError("K110", `Credential should be scoped to correct service: '${SERVICE}'.`);
  if (claim.region !== expected.region)
    throw new KappaError("K110", `Credential should be scoped to a valid region: '${expected.region}'.`);
  const timestamp = signingTime(headers, claim.date, expected.now);
  checkSignedHeaders(headers, claim.signedHeaders);
  return timestamp;
}

/**
 * Checks a signature whose claim was found good.
 * @param timestamp from {@link checkClaim}
 * @param keyOf gives the signing key of a day
 * @throws KappaError K110 with AWS's text
 */
export function verifySignature(
  request: RequestHead,
  body: Uint8Array,
  claim: SignatureClaim,
  timestamp: string,
  keyOf: (date: string) => Buffer,
): void {
  const canonical = canonicalRequest(request, claim.signedHeaders, payloadHash(request.headers, body));
  const scope = `${claim.date}/${claim.region}/${SERVICE}/${TERMINATOR}`;
  const toSign = `${ALGORITHM}\n${timestamp}\n${scope}\n${hash("sha256", canonical, "hex")}`;
  const signature = createHmac("sha256", keyOf(claim.date)).update(toSign).digest();
  if (!timingSafeEqual(signature, Buffer.from(claim.signature, "hex"))) throw mismatch();
}

function mismatch(): KappaError {
  return new KappaError(
    "K110",
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
  );
}

/** The time of signing as it was written, once it is known to be near ours. */
function signingTime(headers: IncomingHttpHeaders, date: string, now: number): string {
  const written = headers["x-amz-date"];
  if (typeof written !== "string")
    throw new KappaError("K116", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  const time = parseBasicTime(written);
  if (time === undefined) throw new KappaError("K116", "Date must be in ISO-8601 'basic format', such as 20150830T123600Z.");
  if (!written.startsWith(date))
    throw new KappaError(
      "K110",
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${date}' != '${written.slice(0, 8)}'.`,
    );
  const skew = "5 min.";
  if (time < now - MAX_SKEW_MS)
    throw new KappaError(
      "K110",
      `Signature expired: ${written} is now earlier than ${basicTime(now - MAX_SKEW_MS)} (${basicTime(now)} - ${skew})`,
    );
  if (time > now + MAX_SKEW_MS)
    throw new KappaError(
      "K110",
      `Signature not yet current: ${written} is still later than ${basicTime(now + MAX_SKEW_MS)} (${basicTime(now)} + ${skew})`,
    );
  return written;
}

function parseBasicTime(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (!match) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function basicTime(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

function checkSignedHeaders(headers: IncomingHttpHeaders, signed: readonly string[]): void {
  if (!signed.includes("host")) throw new KappaError("K110", "'Host' must be a 'SignedHeader' in the AWS Authorization.");
  for (const name of MUST_BE_SIGNED) {
    if (headers[name] !== undefined && !signed.includes(name))
      throw new KappaError("K110", `There was a header present in the request which was not signed: ${name}`);
  }
}

/** Hash of the payload as it enters the signature. A declared hash is believed only if the body has it. */
function payloadHash(headers: IncomingHttpHeaders, body: Uint8Array): string {
  const declared = headers["x-amz-content-sha256"];
  if (declared === UNSIGNED_PAYLOAD) return UNSIGNED_PAYLOAD;
  const actual = hash("sha256", body, "hex");
  if (declared !== undefined && declared !== actual) throw mismatch();
  return actual;
}

function canonicalRequest(request: RequestHead, signedHeaders: readonly string[], payload: string): string {
  const question = request.target.indexOf("?");
  const path = question < 0 ? request.target : request.target.slice(0, question);
  const query = question < 0 ? "" : canonicalQuery(request.target.slice(question + 1));
  let headers = "";
  for (const name of signedHeaders) headers += `${name}:${canonicalValue(request.headers[name])}\n`;
  return `${request.method}\n${canonicalPath(path)}\n${query}\n${headers}\n${signedHeaders.join(";")}\n${payload}`;
}

/** The path as sent, encoded once more: every service but S3 signs it so. */
function canonicalPath(path: string): string {
  return /^[A-Za-z0-9\-._~/]*$/.test(path) ? path : path.split("/").map(uriEncode).join("/");
}

function canonicalQuery(query: string): string {
  const pairs: [string, string][] = [];
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? "" : part.slice(equals + 1);
    pairs.push([uriEncode(uriDecode(name)), uriEncode(uriDecode(value))]);
  }
  // By code point, as AWS sorts; localeCompare would not.
  pairs.sort(([a, x], [b, y]) => (a === b ? Number(x > y) - Number(x < y) : Number(a > b) - Number(a < b)));
  return pairs.map(([name, value]) => `${name}=${value}`).join("&");
}

function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function uriDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function canonicalValue(value: string | string[] | undefined): string {
  const text = Array.isArray(value) ? value.join(",") : (value ?? "");
  return text.trim().replace(/\s+/g, " ");
}
