/** What the bench and the load program in the cluster say to each other: one JSON document a line. */
import { z } from "zod";

/** One request, as often as it is sent. */
const Target = z.object({
  /** Scheme, host and port. */
  origin: z.string(),
  method: z.string(),
  path: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  /** Sign each request with Signature V4, before its time begins to run: what signing costs is the caller's. */
  sign: z.object({ region: z.string(), accessKeyId: z.string(), secretAccessKey: z.string() }).exactOptional(),
});

export type Target = z.infer<typeof Target>;

/** What the load program can do. */
export const Command = z.discriminatedUnion("do", [
  /** So many clients, each of which sends its next request once it has its answer, for so long or so many requests in all. */
  z.object({
    do: z.literal("closed"),
    target: Target,
    clients: z.number().int().min(1),
    milliseconds: z.number(),
    requests: z.number().int().exactOptional(),
  }),
  /** Requests at a fixed rate, whatever becomes of those before. Their time runs from the moment that they were due. */
  z.object({
    do: z.literal("open"),
    target: Target,
    perSecond: z.number(),
    milliseconds: z.number(),
    connections: z.number().int().min(1),
  }),
  /** So many requests at the same moment, over connections that are open already. */
  z.object({ do: z.literal("burst"), target: Target, requests: z.number().int().min(1) }),
  /** Asks again, over a new connection each time, until the answer has status 200. */
  z.object({ do: z.literal("await"), target: Target, pauseMs: z.number(), limitMs: z.number() }),
]);

export type Command = z.infer<typeof Command>;

/** What came of a command. */
export const Outcome = z.object({
  /** Epoch milliseconds with fractions. */
  startedAt: z.number(),
  endedAt: z.number(),
  /** Microseconds that each answered request took, in the order of the answers. */
  latencies: z.array(z.number()),
  /** How many answers had which status; a request without an answer counts under its error's name. */
  statuses: z.record(z.string(), z.number()),
  /** The end of the function's log that came with an answer (Lambda's header), decoded, where the request asked for it. */
  logs: z.array(z.string()),
  /** The start of the first answer that was not 200. */
  firstProblem: z.string().exactOptional(),
});

export type Outcome = z.infer<typeof Outcome>;
