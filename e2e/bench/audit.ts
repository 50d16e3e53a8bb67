/** What the API server was asked, by its own audit log. */
import { readFileSync } from "node:fs";
import { paths } from "../cluster/index.ts";
import { waitFor } from "../cluster/run.ts";

export interface ApiRequest {
  verb: string;
  user: string;
  resource: string;
  subresource: string | undefined;
  namespace: string | undefined;
  name: string | undefined;
  /** Epoch milliseconds with fractions: when it came and when it was answered. */
  receivedAt: number;
  answeredAt: number;
}

interface AuditEvent {
  verb: string;
  stage: string;
  requestReceivedTimestamp: string;
  stageTimestamp: string;
  user: { username: string };
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string };
}

const KAPPA = "system:serviceaccount:kappa-system:";

/** Requests that came in a span of time, epoch milliseconds. */
export function requests(since: number, until: number): ApiRequest[] {
  const found: ApiRequest[] = [];
  for (const line of readFileSync(paths().auditLog, "utf8").split("\n")) {
    if (line === "") continue;
    const event = JSON.parse(line) as AuditEvent;
    const receivedAt = instant(event.requestReceivedTimestamp);
    if (event.stage !== "ResponseComplete" || receivedAt < since || receivedAt > until) continue;
    const { resource = "", subresource, namespace, name } = event.objectRef ?? {};
    const answeredAt = instant(event.stageTimestamp);
    found.push({ verb: event.verb, user: event.user.username, resource, subresource, namespace, name, receivedAt, answeredAt });
  }
  return found;
}

/** Those of Kappa's own identities, but for its Leases and for what only ends now and then: watches. */
export const byKappa = (all: readonly ApiRequest[]): ApiRequest[] =>
  all.filter(({ user, resource, verb }) => user.startsWith(KAPPA) && resource !== "leases" && verb !== "watch");

/** Reviews are posted to be asked, not to change anything. */
const REVIEWS: readonly string[] = ["subjectaccessreviews", "tokenreviews"];

export const isWrite = ({ verb, resource }: ApiRequest): boolean => !["get", "list", "watch"].includes(verb) && !REVIEWS.includes(resource);

/** The first request that matches, once it is in the log. */
export function requestThat(what: string, since: number, matches: (request: ApiRequest) => boolean): Promise<ApiRequest> {
  return waitFor(what, 20_000, async () => requests(since, Date.now()).find(matches), 100);
}

/** `Date.parse` knows no microseconds. */
function instant(timestamp: string): number {
  const fraction = /\.(\d+)Z$/.exec(timestamp)?.[1] ?? "0";
  return Date.parse(timestamp.replace(/\.\d+Z$/, "Z")) + Number(`0.${fraction}`) * 1000;
}
