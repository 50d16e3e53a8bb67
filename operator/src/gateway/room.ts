import type { Environment } from "./environment.ts";
import type { Lane } from "./lane.ts";
import type { PoolTaker } from "./pool-taker.ts";

export interface RoomDeps {
  pools: Pick<PoolTaker, "giveUpOne">;
  /** Asks the other gateways to give an environment up; whether one did. */
  askPeers(namespace?: string): Promise<boolean>;
}

/** A function as far as its environments may have to go for another one's. */
export interface RoomGiver {
  readonly entry: { namespace: string };
  readonly owned: boolean;
  readonly lanes: Iterable<Lane>;
}

/** Makes room on a cluster, or in a namespace's quota, that has none left. */
export class Room {
  readonly #givers: () => Iterable<RoomGiver>;
  readonly #deps: RoomDeps;

  constructor(givers: () => Iterable<RoomGiver>, deps: RoomDeps) {
    this.#givers = givers;
    this.#deps = deps;
  }

  /**
   * Retires the idle environment that was used longest ago, of whichever function this gateway owns. Those of provisioned concurrency stay.
   * @param namespace only room in this namespace is of use
   * @returns whether there was one
   */
  giveUp(namespace?: string): boolean {
    let oldest: Environment | undefined;
    for (const { entry, owned, lanes } of this.#givers()) {
      if (!owned || (namespace !== undefined && entry.namespace !== namespace)) continue;
      for (const { idle } of lanes) if (idle[0] && (!oldest || idle[0].since < oldest.since)) oldest = idle[0];
    }
    oldest?.apply({ type: "retire", reason: "idle" });
    return oldest !== undefined;
  }

  /** The same, or else one that idles or is pooled at the first other gateway that has any, or else a pooled one here. */
  async make(namespace?: string): Promise<boolean> {
    return this.giveUp(namespace) || (await this.#deps.askPeers(namespace)) || this.#deps.pools.giveUpOne(namespace);
  }
}
