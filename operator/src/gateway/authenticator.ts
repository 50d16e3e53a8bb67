import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { KappaError } from "../domain/errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { AccessKeys } from "./access-keys.ts";
import { type Caller, namespaceOfUser } from "./caller.ts";
import { FreshCache, type Lifetime } from "./fresh-cache.ts";
import type { RoleKey, RoleSessions } from "./role-sessions.ts";
import { checkClaim, isSignature, parseAuthorization, type RequestHead, verifySignature } from "./signature.ts";

const TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews";

/** A revoked token works for at most a minute more; with the API server away, for ten. */
const ACCEPTED: Lifetime = { refreshMs: 30_000, expireMs: 60_000, staleMs: 600_000 };
/** What was refused may be good in a moment, when a ServiceAccount has just been made. */
const REFUSED: Lifetime = { refreshMs: 5_000, expireMs: 5_000, staleMs: 5_000 };

/** Longest bearer token looked at, characters. */
const MAX_TOKEN = 16_384;

interface TokenReview {
  status?: {
    authenticated?: boolean;
    user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
    error?: string;
  };
}

export interface AuthenticatorOptions {
  keys: Pick<AccessKeys, "get">;
  /** Keys with a session token: those of execution roles. */
  roles: Pick<RoleSessions, "key" | "checkLives">;
  client: Pick<KubeClient, "post">;
  metrics: GatewayMetrics;
  clock: Clock;
  region: string;
}

/** Tells the caller once the body is there. A signature, and a token seen lately, are decided without a promise. */
export type Identify = (body: Uint8Array) => Caller | Promise<Caller>;

/** Finds out who called, by Signature V4 or by a Kubernetes bearer token. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #tokens: FreshCache<string, Caller | undefined>;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#tokens = new FreshCache({
      load: (token) => this.#review(token),
      lifetime: (caller) => (caller ? ACCEPTED : REFUSED),
      staleOn: (error) => error instanceof KubeError && error.retryable,
      maxEntries: 10_000,
      maxPending: 50,
      clock: options.clock,
    });
  }

  /**
   * Looks at a request's credentials before its body is read: what can be refused without the body is refused here. What is
   * returned may throw K109, K110 and K117, and K106 when a token cannot be checked now.
   * @throws KappaError K109, K110, K111, K116 or K117
   */
  authenticate(request: RequestHead): Identify {
    const authorization = request.headers.authorization;
    if (authorization === undefined) return this.#refuse("none", new KappaError("K111", "Missing Authentication Token"));
    if (isSignature(authorization)) return this.#bySignature(request, authorization);
    const token = /^bearer +(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined || token.length > MAX_TOKEN)
      return this.#refuse("none", new KappaError("K111", "Missing Authentication Token"));
    return () => this.#byToken(token);
  }

  #bySignature(request: RequestHead, authorization: string): Identify {
    const { keys, roles, clock, region, metrics } = this.#options;
    return this.#signed(() => {
      const claim = parseAuthorization(authorization);
      const token = sessionToken(request.headers);
      const role = token === undefined ? undefined : roles.key(token, claim.accessKeyId);
      const key = role ?? keys.get(claim.accessKeyId);
      if (!key) throw new KappaError("K109", "The security token included in the request is invalid.");
      const timestamp = checkClaim(request.headers, claim, { region, now: clock.now() });
      return (body) =>
        this.#signed(() => {
          verifySignature(request, body, claim, timestamp, (date) => key.keys.of(date, region));
          const pending = role && roles.checkLives(role);
          if (pending) return this.#roleLives(role, pending);
          metrics.authenticated("signature", "ok");
          return key.caller;
        });
    });
  }

  async #roleLives({ caller }: RoleKey, pending: Promise<undefined>): Promise<Caller> {
    const { metrics } = this.#options;
    try {
      await pending;
    } catch (error) {
      metrics.authenticated("signature", "refused");
      throw error;
    }
    metrics.authenticated("signature", "ok");
    return caller;
  }

  /** Runs a step of checking a signature, and counts its refusal. */
  #signed<T>(check: () => T): T {
    try {
      return check();
    } catch (error) {
      this.#options.metrics.authenticated("signature", "refused");
      throw error;
    }
  }

  #byToken(token: string): Caller | Promise<Caller> {
    const known = this.#tokens.get(hash("sha256", token, "hex"), token);
    if (known instanceof Promise)
      return known.then(
        (caller) => this.#accept(caller),
        (error: unknown) => this.#unchecked(error),
      );
    return this.#accept(known);
  }

  #accept(caller: Caller | undefined): Caller {
    if (!caller) return this.#refuse("token", new KappaError("K109", "The security token included in the request is invalid."));
    this.#options.metrics.authenticated("token", "ok");
    return caller;
  }

  #refuse(method: "none" | "token", error: KappaError): never {
    this.#options.metrics.authenticated(method, "refused");
    throw error;
  }

  #unchecked(cause: unknown): never {
    throw new KappaError("K106", "The token could not be checked because the Kubernetes API did not answer. Retry the request.", { cause });
  }

  async #review(token: string): Promise<Caller | undefined> {
    const review = await this.#options.client.post<TokenReview>(TOKEN_REVIEWS, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token },
    });
    const user = review.status?.user;
    if (review.status?.authenticated !== true || user?.username === undefined) return undefined;
    const namespace = namespaceOfUser(user.username);
    return {
      // The groups of a user come with the token, so another token may bring others.
      id: [user.username, ...(user.groups ?? []), JSON.stringify(user.extra ?? {})].join("\n"),
      username: user.username,
      groups: user.groups ?? [],
      ...(user.uid === undefined ? {} : { uid: user.uid }),
      ...(user.extra === undefined ? {} : { extra: user.extra }),
      ...(namespace === undefined ? {} : { namespace }),
    };
  }
}

function sessionToken(headers: IncomingHttpHeaders): string | undefined {
  const token = headers["x-amz-security-token"];
  return typeof token === "string" && token !== "" ? token : undefined;
}
