import { DiscardPolicy, type JetStreamManager, StorageType } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { BusConnection } from "./connection.ts";
import { asBusError } from "./errors.ts";

const STREAM = "kappa-billing";
const SUBJECTS = "kappa.billing";
/** How long a day's figures are kept: a year and the month in which it is looked back at. */
const KEEP_MS = 400 * 86_400_000;
/** Writers of one account and day at most: each is one life of a gateway. What NATS gives out at once. */
const MAX_WRITERS = 1024;
/** Days and writers stand in subjects: nothing that NATS could take for a wildcard or a separator. */
const TOKEN = /^[A-Za-z0-9_-]{1,255}$/;

/**
 * What was used, as its writers counted it: the last figures of each writer for each account and day. A writer is one run of a process, so
 * that a new one never overwrites what an earlier one counted.
 */
export class BillingStore {
  readonly #bus: BusConnection;
  readonly #replicas: number;
  #made = false;

  /** @param replicas copies that NATS keeps, used when the stream is made: 1, 3 or 5 */
  constructor(bus: BusConnection, replicas: number) {
    this.#bus = bus;
    this.#replicas = replicas;
  }

  /**
   * Replaces what this writer counted so far. Resolves when NATS has it on disk.
   * @param day `YYYY-MM-DD`
   * @throws BusError
   */
  async write(of: { day: string; namespace: string; writer: string }, figures: unknown): Promise<void> {
    const subject = `${subjectOf(of.day, of.namespace)}.${token(of.writer)}`;
    await this.#bus.use(`writing ${subject}`, async ({ client, manager }) => {
      if (!this.#made) await this.#make(manager);
      await client.publish(subject, JSON.stringify(figures));
    });
  }

  /** What every writer counted for an account on a day, unchecked. Empty when nobody did. @throws BusError */
  async read({ day, namespace }: { day: string; namespace: string }): Promise<unknown[]> {
    const subject = `${subjectOf(day, namespace)}.*`;
    return await this.#bus.use(`reading ${subject}`, async ({ manager }) => {
      if (!this.#made) await this.#make(manager);
      const found: unknown[] = [];
      try {
        const messages = await manager.direct.getLastMessagesFor(STREAM, { multi_last: [subject], batch: MAX_WRITERS });
        for await (const message of messages) found.push(message.json());
      } catch (error) {
        if (!asBusError("", error).notFound) throw error;
      }
      return found;
    });
  }

  async #make(manager: JetStreamManager): Promise<void> {
    try {
      await manager.streams.info(STREAM);
    } catch (error) {
      if (!asBusError("", error).notFound) throw error;
      await manager.streams.add({
        name: STREAM,
        description: "What functions used, by day, account and gateway. Written by Kappa's gateways.",
        subjects: [`${SUBJECTS}.>`],
        storage: StorageType.File,
        num_replicas: this.#replicas,
        // Of each writer the last figures count: they hold the earlier ones.
        max_msgs_per_subject: 1,
        discard: DiscardPolicy.Old,
        max_age: nanos(KEEP_MS),
        allow_direct: true,
      });
    }
    this.#made = true;
  }
}

function subjectOf(day: string, namespace: string): string {
  return `${SUBJECTS}.${token(day)}.${token(namespace)}`;
}

function token(text: string): string {
  if (!TOKEN.test(text)) throw new Error(`"${text}" cannot be part of a subject`);
  return text;
}
