/**
 * Downloads a package from a URL. The URL is written by whoever may write a Function, and the controller stands inside the cluster:
 * so it connects to public addresses only, decided on the address that is really dialled, after every redirect anew
 * (docs/adr/0004-code-packages.md).
 */
import { lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import type { Readable } from "node:stream";
import { Agent, request } from "undici";
import { type Cidr, contains, NON_PUBLIC_RANGES, parseCidr } from "../../domain/cidr.ts";
import { KappaError } from "../../domain/errors.ts";

const MAX_REDIRECTS = 5;
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);

/** Connecting, and silence before or within an answer, milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;
const SILENCE_TIMEOUT_MS = 30_000;

/** The whole download, redirects included, milliseconds: 250 MB at 1 MB/s. */
const TOTAL_TIMEOUT_MS = 300_000;

/** Where downloads may go. */
export interface UrlPolicy {
  /** CIDRs that are refused besides everything that is not the internet: the cluster's own, with public addresses. */
  refused: () => readonly string[];
  /** CIDRs that are allowed though they are not public: an artifact server of the house. */
  allowed: readonly string[];
}

/** Downloads packages; close it to end what is under way. */
export interface UrlSource {
  /**
   * The body behind a URL, at most `maxBytes` long.
   * @throws KappaError K204 when it cannot be had (tried again later), K205 when it is too large
   */
  download(url: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** An address that was refused; kept apart from failures of the network so that the message can say what to configure. */
class RefusedAddress extends Error {
  override name = "RefusedAddress";
}

/** Makes the downloader. It keeps no connection between downloads. */
export function createUrlSource(policy: UrlPolicy): UrlSource {
  const allowed = policy.allowed.map(cidrOf);
  const nonPublic = NON_PUBLIC_RANGES.map(cidrOf);
  const isAllowed = (address: string): boolean => {
    const target = parseCidr(address);
    if (target === undefined) return false;
    const holds = (range: Cidr): boolean => contains(range, target);
    return allowed.some(holds) || !(nonPublic.some(holds) || policy.refused().map(cidrOf).some(holds));
  };
  const agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS, lookup: guardedLookup(isAllowed) },
    headersTimeout: SILENCE_TIMEOUT_MS,
    bodyTimeout: SILENCE_TIMEOUT_MS,
    pipelining: 0,
  });
  return {
    async download(url, maxBytes, signal) {
      const within = AbortSignal.any([signal, AbortSignal.timeout(TOTAL_TIMEOUT_MS)]);
      try {
        return await follow(url, maxBytes, within, agent, isAllowed);
      } catch (error) {
        if (error instanceof KappaError) throw error;
        throw new KappaError("K204", `${withoutSecrets(url)}: ${reasonOf(error)}`, { cause: error });
      }
    },
    close: () => agent.destroy(),
  };
}

async function follow(
  url: string,
  maxBytes: number,
  signal: AbortSignal,
  agent: Agent,
  isAllowed: (address: string) => boolean,
): Promise<Uint8Array> {
  let at = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const target = checkedUrl(at, isAllowed);
    const answer = await request(target, { dispatcher: agent, signal, headers: { accept: "*/*", "user-agent": "kappa-controller" } });
    const location = answer.headers.location;
    if (REDIRECT_STATUS.has(answer.statusCode) && typeof location === "string") {
      abandon(answer.body);
      at = new URL(location, target).href;
      continue;
    }
    if (answer.statusCode !== 200) {
      abandon(answer.body);
      throw new KappaError("K204", `${withoutSecrets(at)} answered with status ${answer.statusCode}`);
    }
    return collect(answer.body, maxBytes, answer.headers["content-length"], at);
  }
  throw new KappaError("K204", `${withoutSecrets(url)} redirects more than ${MAX_REDIRECTS} times`);
}

/** A URL that may be dialled. Names are judged when they are resolved; addresses are never resolved, so they are judged here. */
function checkedUrl(text: string, isAllowed: (address: string) => boolean): URL {
  if (!URL.canParse(text)) throw new KappaError("K204", `${JSON.stringify(withoutSecrets(text))} is not a URL`);
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw new KappaError("K204", `${withoutSecrets(text)} is neither an http nor an https URL`);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !isAllowed(host)) throw new RefusedAddress(refusal(host));
  return url;
}

/** Resolves as usual, then refuses when any of the addresses is not allowed: which one would be dialled is not ours to choose. */
function guardedLookup(isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, "", 0);
      const refused = addresses.find(({ address }) => !isAllowed(address));
      if (refused) return callback(new RefusedAddress(`${hostname} is ${refusal(refused.address)}`), "", 0);
      if (options.all) return callback(null, addresses);
      const [first] = addresses;
      return first ? callback(null, first.address, first.family) : callback(new Error(`${hostname} has no address`), "", 0);
    });
  };
}

function refusal(address: string): string {
  return `${address}, which is not a public address; an administrator can allow it with controller.urlAllowCidrs in the chart's values`;
}

async function collect(body: Readable, maxBytes: number, declared: unknown, url: string): Promise<Uint8Array> {
  const tooLarge = () => new KappaError("K205", `${withoutSecrets(url)} is larger than ${maxBytes} bytes`);
  const expected = typeof declared === "string" && /^\d+$/.test(declared) ? Number(declared) : undefined;
  if (expected !== undefined && expected > maxBytes) {
    abandon(body);
    throw tooLarge();
  }
  // Where the length is known the pieces go to their place at once, so that the package is held once and not twice.
  const whole = expected === undefined ? undefined : Buffer.allocUnsafe(expected);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body as AsyncIterable<Uint8Array>) {
    if (length + piece.length > (expected ?? maxBytes)) throw tooLarge();
    if (whole) whole.set(piece, length);
    else pieces.push(piece);
    length += piece.length;
  }
  if (expected !== undefined && length !== expected)
    throw new KappaError("K204", `${withoutSecrets(url)} ended after ${length} of ${expected} bytes`);
  return whole ?? Buffer.concat(pieces, length);
}

/** Ends a body that nobody reads. Its complaint about that would otherwise be nobody's and end the process. */
function abandon(body: Readable): void {
  body.on("error", () => {});
  body.destroy();
}

/** The innermost reason: undici wraps what the socket said. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `not complete after ${TOTAL_TIMEOUT_MS / 1000} seconds`;
  if (error.cause instanceof Error && !(error instanceof RefusedAddress)) return reasonOf(error.cause);
  return error.message === "" ? error.name : error.message;
}

/** A URL as it may appear in a status: signed URLs carry their secret in the query, some carry a password. */
function withoutSecrets(text: string): string {
  if (!URL.canParse(text)) return text.replace(/[?#].*$/s, "");
  const url = new URL(text);
  return `${url.protocol}//${url.host}${url.pathname}`;
}

function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new KappaError("K300", `${JSON.stringify(text)} is neither an IP address nor a CIDR`);
  return cidr;
}
