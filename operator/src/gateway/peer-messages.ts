/**
 * What gateways say to each other over their standing connection: one JSON text for each message. Two that differ in their version
 * understand each other as far as both know a type: others are passed over, and a question of an unknown type is answered so.
 */
import { z } from "zod";

/** Largest message, bytes. */
export const MAX_PEER_MESSAGE = 16 * 1024;

/** Headers by which gateways tell each other how things are when one dials and the other takes it. */
export const PEER_EPOCH = "x-kappa-peer-epoch";
export const PEER_STATE = "x-kappa-peer-state";

const text = z.string().min(1).max(253);
const count = z.int().min(0);
const epoch = z.int().min(0);
const state = z.enum(["joining", "serving", "leaving"]);

/**
 * Whether a gateway owns anything: `joining`: not yet, it does not know all the others; `leaving`: no more, it finishes what it has.
 */
export type PeerState = z.infer<typeof state>;

/** How things are at a gateway, and which gateways it sees alive; said when a link was made and after each change. */
const view = z.object({ type: z.literal("view"), epoch, state, members: z.array(text).max(50).exactOptional() });
export type PeerView = z.infer<typeof view>;

/** Counters of what a gateway was lent of an account, in one term of the lender. Both only grow, so that nothing is lost for good. */
const position = z.object({ n: count, returned: count, charged: count });

/** Questions with what is asked and what is answered. */
const REQUESTS = {
  /** Retire an idle environment, so that the asker's finds room. */
  room: { ask: z.object({ namespace: text.optional() }), answer: z.object({ given: z.boolean() }) },
  /** By an account's new owner: what do you use of it? Answered by who sees the same gateways alive, and not before. */
  hold: {
    ask: z.object({ account: text, term: epoch, members: z.array(text).max(50) }),
    answer: z.object({ lent: count, charged: count, n: count }),
  },
  /** To an account's owner: lend me so much more, and this is how things are here. */
  borrow: {
    ask: z.object({ account: text, term: epoch, need: count, ...position.shape }),
    answer: z.object({ term: epoch, granted: count }),
  },
  /** By an account's owner, which has lent so much in all: give back what you do not use. */
  recall: { ask: z.object({ account: text, term: epoch, granted: count }), answer: position },
} as const;

export type RequestType = keyof typeof REQUESTS;
export type Ask<T extends RequestType> = z.infer<(typeof REQUESTS)[T]["ask"]>;
export type Answer<T extends RequestType> = z.infer<(typeof REQUESTS)[T]["answer"]>;

const envelope = z.discriminatedUnion("type", [
  view,
  z.object({ type: z.literal("ask"), id: count, what: text, ask: z.unknown() }),
  z.object({ type: z.literal("answer"), id: count, answer: z.unknown() }),
  z.object({ type: z.literal("refusal"), id: count, why: z.string().max(1024) }),
]);
export type PeerMessage = z.infer<typeof envelope>;

/** Said as bare text by gateways before there were messages. */
const LEAVING = "leaving";

/** Encodes a message. */
export function encodePeerMessage(message: PeerMessage): string {
  return JSON.stringify(message);
}

/** Decodes a message; absent when it is none that is known here. */
export function decodePeerMessage(data: string): PeerMessage | undefined {
  if (data === LEAVING) return { type: "view", epoch: 0, state: "leaving" };
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    return undefined;
  }
  const { data: message } = envelope.safeParse(json);
  return message;
}

export function isRequestType(what: string): what is RequestType {
  return Object.hasOwn(REQUESTS, what);
}

/** What is asked, or nothing when it is not as it has to be. */
export function askOf<T extends RequestType>(what: T, ask: unknown): Ask<T> | undefined {
  return REQUESTS[what].ask.safeParse(ask).data as Ask<T> | undefined;
}

/** What was answered, or nothing when it is not as it has to be. */
export function answerOf<T extends RequestType>(what: T, answer: unknown): Answer<T> | undefined {
  return REQUESTS[what].answer.safeParse(answer).data as Answer<T> | undefined;
}

/** What a gateway says of itself in the headers of a dial; those of former versions say nothing and serve. */
export function greetingOf(headers: NodeJS.Dict<string | string[]>): { epoch: number; state: PeerState } {
  return {
    epoch: epoch.safeParse(Number(headers[PEER_EPOCH] ?? 0)).data ?? 0,
    state: state.safeParse(headers[PEER_STATE]).data ?? "serving",
  };
}

/** Another gateway has got a question and does not do what it asks. */
export class PeerRefusal extends Error {}
