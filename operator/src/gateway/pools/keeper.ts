import type { Logger } from "../../telemetry/log.ts";
import type { AssignmentWriter } from "../assignment-writer.ts";
import type { Environment, InitFailure, StartFailure } from "../environment.ts";
import type { EnvironmentPhase } from "../environment-state.ts";
import type { EnvironmentKeeper } from "../environments.ts";
import type { FunctionRegistry } from "../function-registry.ts";
import type { Pools } from "./pools.ts";

export interface KeeperOptions {
  registry: Pick<FunctionRegistry, "byUid">;
  /** Made after the table that has this. */
  pools: () => Pools;
  writer: Pick<AssignmentWriter, "assigned" | "initialized">;
  log: Logger;
}

/** Follows environments on their way from a pool to a function, and has their pods tell of it. */
export class Keeper implements EnvironmentKeeper {
  readonly #options: KeeperOptions;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  moved(environment: Environment, from: EnvironmentPhase): void {
    this.#options.pools().moved(environment, from);
  }

  startFailed(environment: Environment, failure: StartFailure): void {
    this.#options.pools().startFailed(environment, failure);
  }

  wanted(environment: Environment): void {
    this.#options.pools().wantedElsewhere(environment);
  }

  becameFunction(environment: Environment): void {
    const { registry, writer } = this.#options;
    const { functionUid, runnable } = environment;
    const entry = functionUid === undefined ? undefined : registry.byUid(functionUid);
    if (entry && runnable) void writer.assigned(environment.identity, entry, runnable, (why) => this.resizeRefused(environment, why));
  }

  initialized(environment: Environment, failure: InitFailure | undefined): void {
    void this.#options.writer.initialized(environment.identity, failure);
  }

  resizeRefused(environment: Environment, why: string): void {
    const { log, pools } = this.#options;
    log.warn({ pod: environment.key, node: environment.nodeName, why }, "an environment from a pool cannot have its function's size");
    if (environment.functionUid !== undefined) pools().refuse(environment.functionUid);
    environment.apply({ type: "retire", reason: "replaced" });
  }
}
