import { z } from "zod";
import type { BillingStore } from "../bus/index.ts";
import { addUse, type BilledUse, type BillingReport, billingReport, dayOf, type UsesByFunction } from "../domain/billing-report.ts";
import { type Backoff, backoffMs } from "../kube/backoff.ts";
import type { Clock } from "../kube/clock.ts";
import type { FunctionMetrics, GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Random } from "./random.ts";

/** What was counted is on disk after so long at most; a process that is killed loses what is younger. */
const WRITE_MS = 2_000;
const RETRY: Backoff = { baseMs: 2_000, maxMs: 60_000 };
/** Figures of a day that is over are dropped once they are written and nobody adds to them any more. */
const SETTLED_MS = 60_000;

const amount = z.number().int().min(0);
/** Figures as this or another gateway wrote them. */
const Figures = z.object({ functions: z.record(z.string(), z.unknown()) });
const Use = z.object({ invocations: amount, errors: amount, throttles: amount, billedMs: amount, memoryMs: amount });

export interface BillingLedgerOptions {
  store: Pick<BillingStore, "write" | "read">;
  /** The gateway's name; with a random part it names this run of it. */
  instance: string;
  clock: Clock;
  random: Random;
  log: Logger;
}

/** What functions of one account used on one day, as far as this gateway ran them. */
interface Page {
  day: string;
  namespace: string;
  uses: Map<string, BilledUse>;
  /** Counted since it was written last. */
  changed: boolean;
  /** Monotonic milliseconds. */
  changedAt: number;
}

/**
 * Counts what functions use and keeps it in NATS: each gateway what it counted itself, the report adds it up. Counting touches memory
 * only; NATS may be away for as long as this process lives.
 */
export class BillingLedger {
  readonly #options: BillingLedgerOptions;
  readonly #writer: string;
  readonly #pages = new Map<string, Page>();
  #failures = 0;
  #writing: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;

  constructor(options: BillingLedgerOptions) {
    this.#options = options;
    this.#writer = `${options.instance}-${options.random.hex(8)}`;
  }

  start(): void {
    this.#later(WRITE_MS);
  }

  /** Writes what is left. */
  async stop(): Promise<void> {
    this.#cancel?.();
    await this.#write();
  }

  /** Metrics that also tell this ledger: what is billed is what is counted there. */
  observing(metrics: GatewayMetrics): GatewayMetrics {
    return { ...metrics, forFunction: (namespace, name) => this.#account(namespace, name, metrics.forFunction(namespace, name)) };
  }

  /** What was used in an account on a day, up to a moment ago. @throws BusError */
  async report(of: { day: string; namespace: string; accountId: string }): Promise<BillingReport> {
    const { day, namespace, accountId } = of;
    // What this gateway has not written yet is part of it; of the others it is at most WRITE_MS old.
    await this.#write();
    const stored = await this.#options.store.read({ day, namespace });
    const counted: UsesByFunction[] = [];
    for (const figures of stored) {
      const read = Figures.safeParse(figures);
      if (!read.success) {
        this.#unreadable({ day, namespace, problem: read.error.message });
        continue;
      }
      const uses: [string, BilledUse][] = [];
      for (const [functionName, figure] of Object.entries(read.data.functions)) {
        const use = Use.safeParse(figure);
        if (use.success) uses.push([functionName, use.data]);
        else this.#unreadable({ day, namespace, functionName, problem: use.error.message });
      }
      counted.push(Object.fromEntries(uses));
    }
    return billingReport({ day, accountId }, counted);
  }

  #unreadable(what: Record<string, string>): void {
    this.#options.log.error(what, "figures of what was used cannot be read and are left out");
  }

  #account(namespace: string, functionName: string, metrics: FunctionMetrics): FunctionMetrics {
    return {
      ...metrics,
      finished: (result) => {
        metrics.finished(result);
        const { billedMs, memoryMb, functionError } = result;
        this.#add(namespace, functionName, {
          invocations: 1,
          errors: functionError ? 1 : 0,
          throttles: 0,
          billedMs,
          memoryMs: billedMs * memoryMb,
        });
      },
      throttled: () => {
        metrics.throttled();
        this.#add(namespace, functionName, { invocations: 0, errors: 0, throttles: 1, billedMs: 0, memoryMs: 0 });
      },
    };
  }

  #add(namespace: string, functionName: string, use: BilledUse): void {
    const { clock } = this.#options;
    const day = dayOf(clock.now());
    const key = `${day}/${namespace}`;
    let page = this.#pages.get(key);
    if (!page) {
      page = { day, namespace, uses: new Map(), changed: true, changedAt: 0 };
      this.#pages.set(key, page);
    }
    const before = page.uses.get(functionName);
    page.uses.set(functionName, before ? addUse(before, use) : use);
    page.changed = true;
    page.changedAt = clock.monotonic();
  }

  #later(ms: number): void {
    this.#cancel = this.#options.clock.setTimeout(() => {
      void this.#write().finally(() =>
        this.#later(this.#failures === 0 ? WRITE_MS : backoffMs(this.#failures, RETRY, () => this.#options.random.chance())),
      );
    }, ms);
  }

  /** One after the other: of two at once the later figures could be overwritten by the earlier ones. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writePages());
    return this.#writing;
  }

  async #writePages(): Promise<void> {
    const { store, clock, log } = this.#options;
    for (const [key, page] of this.#pages) {
      if (page.changed) {
        page.changed = false;
        try {
          const { day, namespace, uses } = page;
          await store.write({ day, namespace, writer: this.#writer }, { functions: Object.fromEntries(uses) });
          this.#failures = 0;
        } catch (err) {
          page.changed = true;
          if (this.#failures++ === 0) log.warn({ err }, "what functions used cannot be written to NATS; it is kept and tried again");
          return;
        }
      } else if (page.day !== dayOf(clock.now()) && clock.monotonic() - page.changedAt > SETTLED_MS) this.#pages.delete(key);
    }
  }
}
