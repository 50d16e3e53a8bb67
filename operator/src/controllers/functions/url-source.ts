/**
 * Downloads a package from a URL. The URL is written by whoever may write a Function, and the controller stands inside the cluster:
 * so it connects to public addresses only, decided on the address that is really dialled, after every redirect anew
 * (docs/adr/0004-code-packages.md).
 */
import { lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import type { Readable } from "node:stream";
import { Agent, type Dispatcher, request } from "undici";
import { type Cidr, contains, NON_PUBLIC_RANGES, parseCidr } from "../../domain/cidr.ts";
import { KappaError } from "../../domain/errors.ts";

const MAX_REDIRECTS = 5;
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);

/** Connecting, and silence before or within an answer, milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;
const SILENCE_TIMEOUT_MS = 30_000;

/** Until the body begins, redirects included, milliseconds. */
const BEGIN_TIMEOUT_MS = 60_000;

/**
 * A body may take this long, milliseconds, and a second more for each so many bytes. A server that lets its bytes trickle would
 * otherwise keep everybody else's downloads waiting.
 */
const BODY_BASE_MS = 30_000;
const SLOWEST_BYTES_PER_SECOND = 250_000;

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
   * The body behind a URL, piece by piece as it comes.
   * @throws KappaError (or the iteration does) K204 when it cannot be had, which is tried again later; K205 when it says that it is larger than `maxBytes`
   */
  download(url: string, maxBytes: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
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
      const begin = new AbortController();
      const timer = setTimeout(() => begin.abort(new Error(`no answer within ${BEGIN_TIMEOUT_MS / 1000} seconds`)), BEGIN_TIMEOUT_MS);
      try {
        const answer = await follow(url, AbortSignal.any([signal, begin.signal]), agent, isAllowed);
        return pieces(answer, maxBytes, url);
      } catch (error) {
        throw asKappaError(error, url);
      } finally {
        clearTimeout(timer);
      }
    },
    close: () => agent.destroy(),
  };
}

async function follow(
  url: string,
  signal: AbortSignal,
  agent: Agent,
  isAllowed: (address: string) => boolean,
): Promise<Dispatcher.ResponseData> {
  let at = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const target = checkedUrl(at, isAllowed);
    const answer = await request(target, { dispatcher: agent, signal, headers: { accept: "*/*", "user-agent": "kappa-controller" } });
    if (answer.statusCode === 200) return answer;
    abandon(answer.body);
    const location = answer.headers.location;
    if (!REDIRECT_STATUS.has(answer.statusCode) || typeof location !== "string")
      throw new KappaError("K204", `${withoutSecrets(at)} answered with status ${answer.statusCode}`);
    at = new URL(location, target).href;
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

/** The body, checked as it comes. */
function pieces(answer: Dispatcher.ResponseData, maxBytes: number, url: string): AsyncIterable<Uint8Array> {
  const { body, headers } = answer;
  // Whoever iterates hears of errors; one that comes when nobody does must not end the process.
  body.on("error", () => {});
  const header = headers["content-length"];
  const declared = typeof header === "string" && /^\d+$/.test(header) ? Number(header) : undefined;
  if (declared !== undefined && declared > maxBytes) {
    body.destroy();
    throw new KappaError("K205", `${withoutSecrets(url)} has ${declared} bytes; at most ${maxBytes} are taken`);
  }
  return (async function* () {
    const start = performance.now();
    let length = 0;
    try {
      for await (const piece of body as AsyncIterable<Uint8Array>) {
        length += piece.length;
        if (performance.now() - start > BODY_BASE_MS + (length / SLOWEST_BYTES_PER_SECOND) * 1000)
          throw new KappaError(
            "K204",
            `${withoutSecrets(url)} is too slow: ${length} bytes in ${Math.round((performance.now() - start) / 1000)} seconds`,
          );
        yield piece;
      }
    } catch (error) {
      throw asKappaError(error, url);
    }
    if (declared !== undefined && length !== declared)
      throw new KappaError("K204", `${withoutSecrets(url)} ended after ${length} of ${declared} bytes`);
  })();
}

/** Ends a body that nobody reads. Its complaint about that would otherwise be nobody's and end the process. */
function abandon(body: Readable): void {
  body.on("error", () => {});
  body.destroy();
}

function asKappaError(error: unknown, url: string): KappaError {
  if (error instanceof KappaError) return error;
  return new KappaError("K204", `${withoutSecrets(url)}: ${reasonOf(error)}`, { cause: error });
}

/** The innermost reason: undici wraps what the socket said. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
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
