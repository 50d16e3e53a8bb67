import type { Clock } from "../kube/clock.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Answer, type Ask, answerOf, askOf, isRequestType, type PeerMessage, PeerRefusal, type RequestType } from "./peer-messages.ts";

/** Answers a question of another gateway; what it throws is told as a refusal. */
export type PeerHandler<T extends RequestType> = (from: string, ask: Ask<T>) => Answer<T> | Promise<Answer<T>>;

type AnyHandler = (from: string, ask: unknown) => unknown;

interface Waiting {
  name: string;
  answered: (answer: unknown) => void;
  failed: (error: Error) => void;
}

/** Questions between gateways and their answers, by numbers; over whichever connection. */
export class PeerCalls {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #handlers = new Map<RequestType, AnyHandler>();
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  handle<T extends RequestType>(what: T, handler: PeerHandler<T>): void {
    this.#handlers.set(what, (from, ask) => {
      const valid = askOf(what, ask);
      if (valid === undefined) throw new Error(`the question "${what}" is not as it has to be`);
      return handler(from, valid);
    });
  }

  /**
   * Asks.
   * @param send sends to that gateway; false when it cannot be reached
   * @throws PeerRefusal when it refuses
   * @throws Error when it cannot be reached, does not answer in time, or goes
   */
  async request<T extends RequestType>(
    name: string,
    what: T,
    ask: Ask<T>,
    timeoutMs: number,
    send: (message: PeerMessage) => boolean,
  ): Promise<Answer<T>> {
    const id = ++this.#last;
    const answer = await new Promise<unknown>((resolve, reject) => {
      const cancel = this.#clock.setTimeout(() => this.#fail(id, `did not answer "${what}" within ${timeoutMs} ms`), timeoutMs);
      this.#waiting.set(id, {
        name,
        answered: (value) => {
          cancel();
          resolve(value);
        },
        failed: (error) => {
          cancel();
          reject(error);
        },
      });
      if (!send({ type: "ask", id, what, ask })) this.#fail(id, "is not connected");
    });
    const valid = answerOf(what, answer);
    if (valid === undefined) throw new Error(`gateway ${name}: the answer to "${what}" is not as it has to be`);
    return valid;
  }

  /** A message of another gateway that is no `view`. */
  receive(from: string, message: Exclude<PeerMessage, { type: "view" }>, reply: (message: PeerMessage) => boolean): void {
    if (message.type === "ask") {
      void this.#answer(from, message.id, message.what, message.ask, reply);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (waiting?.name !== from) return;
    if (message.type === "refusal") {
      this.#fail(message.id, `refuses: ${message.why}`, PeerRefusal);
      return;
    }
    this.#waiting.delete(message.id);
    waiting.answered(message.answer);
  }

  /** A gateway is gone: nothing of it is waited for. */
  lost(name: string): void {
    for (const [id, waiting] of this.#waiting) if (waiting.name === name) this.#fail(id, "is gone");
  }

  async #answer(from: string, id: number, what: string, ask: unknown, reply: (message: PeerMessage) => boolean): Promise<void> {
    try {
      const handler = isRequestType(what) ? this.#handlers.get(what) : undefined;
      if (!handler) throw new Error(`"${what}" is not known here`);
      reply({ type: "answer", id, answer: await handler(from, ask) });
    } catch (err) {
      this.#log.debug({ err, peer: from, what }, "a question of a gateway was refused");
      reply({ type: "refusal", id, why: String(err instanceof Error ? err.message : err).slice(0, 1024) });
    }
  }

  #fail(id: number, why: string, Failure: new (message: string) => Error = Error): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    waiting.failed(new Failure(`gateway ${waiting.name} ${why}`));
  }
}
