import type { AwsCredentials } from "../api/environment-protocol.ts";
import { KappaError } from "../domain/errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import { Resources } from "../kube/objects.ts";
import { type Caller, serviceAccountCaller } from "./caller.ts";
import { FreshCache, type Lifetime } from "./fresh-cache.ts";
import { type Pod, podCondition } from "./pod.ts";
import type { Random } from "./random.ts";
import { RoleCredentials, type RoleSession } from "./role-credentials.ts";
import { SigningKeys } from "./signing-keys.ts";

/** How long credentials are good. AWS's own of an execution role are good for 12 h as well. */
const VALID_MS = 12 * 3_600_000;
/** Sessions remembered with their keys: deriving them takes longer than all else that is done for a signature. */
const MAX_SESSIONS = 10_000;

/** A pod that the watch has not shown yet is soon shown. */
const LIVES: Lifetime = { refreshMs: 10_000, expireMs: 30_000, staleMs: 30_000 };
/** A pod that ended never comes back. */
const ENDED: Lifetime = { refreshMs: 3_600_000, expireMs: 3_600_000, staleMs: 3_600_000 };

/** Whose environment it is. */
interface RoleEnvironment {
  namespace: string;
  podName: string;
  podUid: string;
}

export interface RoleSessionsOptions {
  /** The gateways' secret. */
  secret: string;
  /** Whether the table has the pod. */
  hasPod(environment: RoleEnvironment): boolean;
  client: Pick<KubeClient, "get">;
  clock: Clock;
  random: Random;
}

/** Credentials of a role that a gateway issued and that have not expired. */
export interface RoleKey {
  readonly accessKeyId: string;
  readonly session: RoleSession;
  readonly caller: Caller;
  readonly keys: SigningKeys;
}

/** The credentials that environments act with: issued here, and good for as long as the environment lives. */
export class RoleSessions {
  readonly #options: RoleSessionsOptions;
  readonly #credentials: RoleCredentials;
  /** By session token, longest known first. Only what a gateway issued is in it. */
  readonly #known = new Map<string, RoleKey>();
  readonly #pods: FreshCache<RoleSession, boolean>;

  constructor(options: RoleSessionsOptions) {
    this.#options = options;
    this.#credentials = new RoleCredentials(options.secret);
    this.#pods = new FreshCache({
      load: (session) => this.#look(session),
      lifetime: (lives) => (lives ? LIVES : ENDED),
      staleOn: (error) => error instanceof KubeError && error.retryable,
      maxEntries: MAX_SESSIONS,
      maxPending: 20,
      clock: options.clock,
    });
  }

  /** Credentials with which an environment acts as a ServiceAccount of its namespace. */
  issue({ namespace, podName, podUid }: RoleEnvironment, serviceAccount: string): AwsCredentials {
    const { clock, random } = this.#options;
    const session = { namespace, serviceAccount, podName, podUid, expiresAt: clock.now() + VALID_MS };
    return this.#credentials.issue(session, random.hex(24));
  }

  /**
   * The key that belongs to a session token.
   * @throws KappaError K109 when no gateway issued it, K117 when it has expired
   */
  key(sessionToken: string, accessKeyId: string): RoleKey {
    let key = this.#known.get(sessionToken);
    if (!key) {
      const opened = this.#credentials.open(sessionToken, accessKeyId);
      if (!opened) throw unknown();
      const { session, secretAccessKey } = opened;
      const caller = serviceAccountCaller(session.namespace, session.serviceAccount);
      key = { accessKeyId, session, caller, keys: new SigningKeys(secretAccessKey) };
      for (const oldest of this.#known.keys()) {
        if (this.#known.size < MAX_SESSIONS) break;
        this.#known.delete(oldest);
      }
      this.#known.set(sessionToken, key);
    }
    if (key.accessKeyId !== accessKeyId) throw unknown();
    if (key.session.expiresAt > this.#options.clock.now()) return key;
    this.#known.delete(sessionToken);
    throw expired();
  }

  /**
   * Returns when the environment lives: at once when the table has its pod. Absence there proves nothing, because a gateway that has
   * just started, or whose watch is a moment behind, has not seen every pod; then the API server is asked, once for each pod. Call it
   * when the signature was found good, so that only who was given the credentials can make it ask.
   * @throws KappaError K117 when the environment has ended, K106 when that cannot be found out now
   */
  checkLives({ session }: RoleKey): undefined | Promise<undefined> {
    if (this.#options.hasPod(session)) return undefined;
    const lives = this.#pods.get(session.podUid, session);
    if (!(lives instanceof Promise)) return enforce(lives);
    return lives.then(enforce, (cause: unknown) => {
      throw new KappaError(
        "K106",
        "The role's environment could not be checked because the Kubernetes API did not answer. Retry the request.",
        {
          cause,
        },
      );
    });
  }

  async #look({ namespace, podName, podUid }: RoleSession): Promise<boolean> {
    try {
      const pod = await this.#options.client.get<Pod>(Resources.pod, { namespace, name: podName });
      return pod?.metadata.uid === podUid && podCondition(pod).ended !== "ended";
    } catch (error) {
      // Refused: the namespace is no account any more, so nothing of it may be invoked.
      if (error instanceof KubeError && !error.retryable) return false;
      throw error;
    }
  }
}

function enforce(lives: boolean): undefined {
  if (!lives) throw expired();
  return undefined;
}

function unknown(): KappaError {
  return new KappaError("K109", "The security token included in the request is invalid.");
}

function expired(): KappaError {
  return new KappaError("K117", "The security token included in the request is expired");
}
