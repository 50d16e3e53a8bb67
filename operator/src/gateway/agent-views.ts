import type { Member, Welcome } from "../api/environment-protocol.ts";
import type { Environment } from "./environment.ts";
import type { FunctionEntry } from "./function-entry.ts";
import { poolOwnerKey } from "./pools/pool-owner.ts";

/** Epochs are times, so one that is further ahead than the clocks of a cluster differ is made up. */
const MAX_EPOCH_AHEAD_MS = 10 * 60_000;

/** The gateways, as far as agents hear of them. */
export interface AgentGateways {
  readonly epoch: number;
  ownerOf(key: string): string;
  /** Whether this gateway decides about a key. */
  owns(key: string): boolean;
  /** The owner of a key and those that own it after that one, as agents dial them. */
  membersFor(key: string): Member[];
  /** An agent knows of a later view. */
  heard(epoch: number): void;
}

/** What agents are told of the gateways. */
export class AgentViews {
  readonly #gateways: AgentGateways;

  constructor(gateways: AgentGateways) {
    this.#gateways = gateways;
  }

  /** Number of this gateway's view. */
  get epoch(): number {
    return this.#gateways.epoch;
  }

  owns(key: string): boolean {
    return this.#gateways.owns(key);
  }

  /** An agent has told the latest view that it knows of. @param now epoch milliseconds */
  heard(epoch: number, now: number): void {
    if (epoch > this.#gateways.epoch && epoch <= now + MAX_EPOCH_AHEAD_MS) this.#gateways.heard(epoch);
  }

  /** @param entry the function that it belongs to, if it is known */
  welcome(environment: Environment, entry: FunctionEntry | undefined): Welcome {
    return {
      members: this.membersOf(environment, entry),
      epoch: this.epoch,
      ...(entry ? { owner: this.#gateways.ownerOf(entry.key) } : {}),
    };
  }

  /** The gateways that an agent keeps to. In a pool: the one that made its pod, which knows it, the pools' owner, and some by chance. */
  membersOf(environment: Environment, entry: FunctionEntry | undefined): Member[] {
    const members = this.#gateways.membersFor(entry?.key ?? environment.key);
    const { pool, identity } = environment;
    if (entry || pool === undefined) return members;
    const ofPools = this.#gateways.membersFor(poolOwnerKey(identity.namespace));
    const all = new Map([...ofPools.slice(0, 1), ...members, ...ofPools].map((member) => [member.name, member]));
    const isMaker = ({ name }: Member) => Number(name === pool.madeBy);
    return [...all.values()].sort((a, b) => isMaker(b) - isMaker(a)).slice(0, members.length);
  }
}
