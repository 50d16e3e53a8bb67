import { z } from "zod";
import type { KubernetesToken } from "../api/environment-protocol.ts";
import { type Backoff, backoffMs } from "../kube/backoff.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Random } from "./random.ts";

/** Seconds that a token is asked for. */
const TOKEN_SECONDS = 3600;
/** Part of its life after which a token is renewed, as the kubelet renews projected ones; a tenth of it earlier by chance. */
const RENEW_AT = 0.8;
const JITTER = 0.1;
/** Shortest life of a token that is believed: where the clocks are apart, the API server must not be asked in a loop. */
const MIN_LIFE_MS = 60_000;
const RETRY: Backoff = { baseMs: 1_000, maxMs: 60_000 };

const Answer = z.object({ status: z.object({ token: z.string().min(1), expirationTimestamp: z.iso.datetime() }) });

/** Takes a role's token, now and whenever it is renewed. */
type Follower = (token: KubernetesToken) => void;

interface Role {
  namespace: string;
  serviceAccount: string;
  followers: Set<Follower>;
  /** With monotonic milliseconds until which it is good. */
  current: { token: KubernetesToken; until: number } | undefined;
  failures: number;
  cancel: (() => void) | undefined;
}

export interface RoleTokensOptions {
  client: Pick<KubeClient, "post" | "certificateAuthority">;
  clock: Clock;
  random: Random;
  log: Logger;
}

/**
 * Kubernetes tokens of execution roles: one for each ServiceAccount that an environment of this gateway acts as, renewed while one
 * does. Nobody waits for them: a function whose ServiceAccount does not exist runs without one.
 */
export class RoleTokens {
  readonly #options: RoleTokensOptions;
  readonly #roles = new Map<string, Role>();
  #stopped = false;

  constructor(options: RoleTokensOptions) {
    this.#options = options;
  }

  /** Gives a follower the token, at once when it is there, and every later one. @returns the way to end that */
  follow(namespace: string, serviceAccount: string, follower: Follower): () => void {
    const key = `${namespace}/${serviceAccount}`;
    let role = this.#roles.get(key);
    if (!role) {
      role = { namespace, serviceAccount, followers: new Set(), current: undefined, failures: 0, cancel: undefined };
      this.#roles.set(key, role);
      void this.#renew(role);
    }
    const followed = role;
    followed.followers.add(follower);
    if (followed.current && this.#options.clock.monotonic() < followed.current.until) follower(followed.current.token);
    return () => followed.followers.delete(follower);
  }

  stop(): void {
    this.#stopped = true;
    for (const role of this.#roles.values()) role.cancel?.();
  }

  async #renew(role: Role): Promise<void> {
    const { clock, log } = this.#options;
    const who = { namespace: role.namespace, serviceAccount: role.serviceAccount };
    try {
      const { token, lifetimeMs } = await this.#request(role);
      if (role.failures > 0) log.info(who, "the token of a role is there again");
      role.failures = 0;
      role.current = { token, until: clock.monotonic() + lifetimeMs };
      for (const follower of [...role.followers]) follower(token);
      this.#later(role, lifetimeMs * RENEW_AT * (1 - JITTER * this.#chance()));
    } catch (err) {
      role.failures++;
      // Once for each time it begins: the remedy is a person's.
      if (role.failures === 1) log.warn({ err, ...who }, problemOf(err));
      this.#later(
        role,
        backoffMs(role.failures, RETRY, () => this.#chance()),
      );
    }
  }

  #later(role: Role, ms: number): void {
    if (this.#stopped) return;
    role.cancel = this.#options.clock.setTimeout(() => {
      if (role.followers.size > 0) void this.#renew(role);
      else this.#roles.delete(`${role.namespace}/${role.serviceAccount}`);
    }, ms);
  }

  async #request({ namespace, serviceAccount }: Role): Promise<{ token: KubernetesToken; lifetimeMs: number }> {
    const { client, clock } = this.#options;
    const askedAt = clock.now();
    const [answer, caCertificate] = await Promise.all([
      client.post<unknown>(`/api/v1/namespaces/${namespace}/serviceaccounts/${encodeURIComponent(serviceAccount)}/token`, {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { expirationSeconds: TOKEN_SECONDS },
      }),
      client.certificateAuthority(),
    ]);
    const { token, expirationTimestamp } = Answer.parse(answer).status;
    // None lives longer than it was asked for, so what is more is the clocks' difference.
    const lifetimeMs = Math.min(Math.max(Date.parse(expirationTimestamp) - askedAt, MIN_LIFE_MS), TOKEN_SECONDS * 1000);
    return { token: { token, namespace, caCertificate }, lifetimeMs };
  }

  /** Uniform in [0, 1). */
  #chance(): number {
    return Number.parseInt(this.#options.random.hex(8), 16) / 2 ** 32;
  }
}

function problemOf(error: unknown): string {
  return error instanceof KubeError && error.notFound
    ? "the ServiceAccount of a function's role does not exist: the function runs without a Kubernetes token until it does"
    : "the token of a role cannot be fetched; trying again";
}
