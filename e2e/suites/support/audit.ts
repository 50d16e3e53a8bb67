/** The API server's audit log: what Kappa's own identities asked of it. */
import { readFileSync } from "node:fs";
import { paths } from "../../cluster/index.ts";

export interface ApiRequest {
  verb: string;
  stage: string;
  requestReceivedTimestamp: string;
  user: { username: string };
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string };
  /** Whether it changed something, or tried to. */
  writes: boolean;
}

/** The log is written a moment after the requests were answered. */
const SETTLE_MS = 1_000;
const READS: readonly string[] = ["get", "list", "watch"];
/** Posted to be asked, not to change anything. */
const REVIEWS: readonly string[] = ["subjectaccessreviews", "tokenreviews"];

/** Requests by the ServiceAccounts of Kappa's namespace that arrived in a span of time, epoch milliseconds, and were answered. */
export async function kappaRequests(since: number, until: number): Promise<ApiRequest[]> {
  await new Promise((r) => setTimeout(r, SETTLE_MS));
  const requests: ApiRequest[] = [];
  for (const line of readFileSync(paths().auditLog, "utf8").split("\n")) {
    if (!line.includes("system:serviceaccount:kappa-system:")) continue;
    const event = JSON.parse(line) as Omit<ApiRequest, "writes">;
    const at = Date.parse(event.requestReceivedTimestamp);
    if (event.stage !== "ResponseComplete" || at < since || at > until) continue;
    if (!event.user.username.startsWith("system:serviceaccount:kappa-system:")) continue;
    requests.push({ ...event, writes: !READS.includes(event.verb) && !REVIEWS.includes(event.objectRef?.resource ?? "") });
  }
  return requests;
}
