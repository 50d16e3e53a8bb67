import type { Exchange } from "./exchange.ts";
import { HttpInvocation } from "./http-invocation.ts";
import type { InvocationRequest, Outcome } from "./invocation.ts";

/** An invocation whose caller is connected to this gateway. */
export class LocalInvocation extends HttpInvocation {
  readonly exchange: Exchange;
  /** How often it was given to an owner. */
  routed = 0;
  readonly #reroute: (invocation: LocalInvocation) => void;

  constructor(exchange: Exchange, of: Omit<InvocationRequest, "requestId">, reroute: (invocation: LocalInvocation) => void) {
    super({ ...of, requestId: exchange.requestId }, exchange.arrivedAt, exchange.response, exchange.held);
    this.exchange = exchange;
    this.#reroute = reroute;
  }

  get cancelled(): boolean {
    return this.exchange.isGone;
  }

  started(): void {
    // The caller learns of it by the answer only.
  }

  finish(outcome: Outcome): void {
    const { exchange } = this;
    if (exchange.isGone) exchange.abandoned();
    else if (outcome.type === "notOwner") exchange.attempt(() => this.#reroute(this));
    else exchange.answered(this.answer(outcome));
  }
}
