import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify, type LocalJWKSet } from "jose";
import { z } from "zod";
import { TOKEN_AUDIENCE } from "../api/environment-protocol.ts";
import type { KubeClient } from "../kube/client.ts";
import { type Clock, sleep } from "../kube/clock.ts";
import { ENVIRONMENT_SERVICE_ACCOUNT } from "../resources/labels.ts";
import type { Logger } from "../telemetry/log.ts";

/** The pod that a token was given to. */
export interface AgentIdentity {
  namespace: string;
  podName: string;
  podUid: string;
}

/** The token is not one of an environment pod. The message says why; it is for the log, not for the other side. */
class AgentTokenError extends Error {
  override name = "AgentTokenError";
}

/** Keys are fetched again for an unknown key id, but not more often: tokens come from strangers. */
const REFRESH_GAP_MS = 10_000;
/** Tolerated difference between our clock and the API server's. */
const CLOCK_TOLERANCE_S = 10;
/** What the API server can sign with (kube-apiserver, --service-account-signing-key-file). */
const ALGORITHMS = ["RS256", "ES256", "ES384", "ES512"];

const Discovery = z.object({ issuer: z.string().min(1) });
const Claims = z.object({
  "kubernetes.io": z.object({
    namespace: z.string().min(1),
    pod: z.object({ name: z.string().min(1), uid: z.string().min(1) }),
    serviceaccount: z.object({ name: z.literal(ENVIRONMENT_SERVICE_ACCOUNT) }),
  }),
});

export interface AgentTokensOptions {
  client: Pick<KubeClient, "getRaw">;
  clock: Clock;
  log: Logger;
}

/**
 * Verifies the projected tokens of environment pods with the cluster's public keys, without asking anybody: keys once fetched
 * stay good while the API server is away.
 */
export class AgentTokens {
  readonly #options: AgentTokensOptions;
  #keys: { set: LocalJWKSet; issuer: string } | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;

  constructor(options: AgentTokensOptions) {
    this.#options = options;
  }

  /** Whether the keys are there. */
  get loaded(): boolean {
    return this.#keys !== undefined;
  }

  /** Fetches the keys, trying until it succeeds or the signal aborts. */
  async load(signal: AbortSignal): Promise<void> {
    for (let wait = 250; !this.#keys && !signal.aborted; wait = Math.min(wait * 2, 10_000)) {
      try {
        await this.#fetch();
      } catch (err) {
        this.#options.log.warn({ err }, "the cluster's token keys cannot be fetched; trying again");
        await sleep(this.#options.clock, wait, signal);
      }
    }
  }

  /** @throws AgentTokenError */
  async verify(token: string): Promise<AgentIdentity> {
    try {
      return await this.#verify(token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw asTokenError(error);
      // The cluster's keys were rotated, or a stranger made the id up.
      await this.#refresh();
      try {
        return await this.#verify(token);
      } catch (again) {
        throw asTokenError(again);
      }
    }
  }

  async #verify(token: string): Promise<AgentIdentity> {
    if (!this.#keys) throw new AgentTokenError("the cluster's keys are not known yet");
    const { payload } = await jwtVerify<JWTPayload>(token, this.#keys.set, {
      audience: TOKEN_AUDIENCE,
      issuer: this.#keys.issuer,
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(this.#options.clock.now()),
      requiredClaims: ["exp"],
    });
    const claims = Claims.safeParse(payload);
    if (!claims.success) throw new AgentTokenError("the token is not bound to an environment pod");
    const { namespace, pod } = claims.data["kubernetes.io"];
    return { namespace, podName: pod.name, podUid: pod.uid };
  }

  async #refresh(): Promise<void> {
    if (this.#options.clock.monotonic() - this.#fetchedAt < REFRESH_GAP_MS) return;
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    await this.#fetching.catch((err: unknown) =>
      this.#options.log.warn({ err }, "the cluster's token keys cannot be refreshed; the old ones stay in use"),
    );
  }

  async #fetch(): Promise<void> {
    const { client, clock } = this.#options;
    this.#fetchedAt = clock.monotonic();
    const [discovery, jwks] = await Promise.all([
      client.getRaw<unknown>("/.well-known/openid-configuration"),
      client.getRaw<JSONWebKeySet>("/openid/v1/jwks"),
    ]);
    this.#keys = { set: createLocalJWKSet(jwks), issuer: Discovery.parse(discovery).issuer };
  }
}

function asTokenError(error: unknown): AgentTokenError {
  if (error instanceof AgentTokenError) return error;
  return new AgentTokenError(error instanceof Error ? error.message : String(error), { cause: error });
}
