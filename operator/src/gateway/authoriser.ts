import { KappaError } from "../domain/errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import { GROUP } from "../resources/labels.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Caller } from "./caller.ts";
import { FreshCache, type Lifetime } from "./fresh-cache.ts";

const REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/** Refreshed ahead while in use, so that a warm invocation waits for no review; stale for ten minutes at most. */
const ALLOWED: Lifetime = { refreshMs: 30_000, expireMs: 120_000, staleMs: 600_000 };
/** Short, so that a grant works at once. */
const DENIED: Lifetime = { refreshMs: 2_000, expireMs: 2_000, staleMs: 2_000 };

interface SubjectAccessReview {
  status?: { allowed?: boolean; reason?: string };
}

/** A right, in Lambda's words and in RBAC's. */
export interface Right {
  /** As Lambda names it, for the message. */
  action: string;
  verb: "create" | "get";
  /** Of the group kappa.dev. */
  resource: string;
  subresource: string;
}

/** To run a function. */
const INVOKE: Right = { action: "lambda:InvokeFunction", verb: "create", resource: "functions", subresource: "invoke" };
/** To read what an account's functions used. */
export const READ_BILLING: Right = { action: "kappa:GetBillingReport", verb: "get", resource: "functions", subresource: "billing" };

/** What a caller wants to use a right on. */
export interface AccessTarget {
  namespace: string;
  /** `metadata.name` of the Function; empty for all of the namespace. */
  name: string;
  /** For the message. */
  arn: string;
}

export interface AuthoriserOptions {
  client: Pick<KubeClient, "post">;
  metrics: GatewayMetrics;
  clock: Clock;
}

/** Decides by SubjectAccessReview what a caller may: to invoke is RBAC's `create` on `functions/invoke` of `kappa.dev`. */
export class Authoriser {
  readonly #options: AuthoriserOptions;
  readonly #decisions: FreshCache<{ caller: Caller; target: AccessTarget; right: Right }, boolean>;

  constructor(options: AuthoriserOptions) {
    this.#options = options;
    this.#decisions = new FreshCache({
      load: ({ caller, target, right }) => this.#review(caller, target, right),
      lifetime: (allowed) => (allowed ? ALLOWED : DENIED),
      staleOn: (error) => error instanceof KubeError && error.retryable,
      maxEntries: 50_000,
      maxPending: 100,
      clock: options.clock,
    });
  }

  /**
   * Returns when the caller may use the right (to invoke, unless another one is named) on the target: at once when that is known, else by
   * a promise.
   * @throws KappaError K108 when it may not, K106 when that cannot be found out now
   */
  authorise(caller: Caller, target: AccessTarget, right: Right = INVOKE): undefined | Promise<undefined> {
    const known = this.#allowed(caller, target, right);
    if (!(known instanceof Promise)) return enforce(known, caller, target, right);
    return known.then(
      (allowed) => enforce(allowed, caller, target, right),
      (cause: unknown) => {
        throw new KappaError(
          "K106",
          "The caller's permission could not be checked because the Kubernetes API did not answer. Retry the request.",
          { cause },
        );
      },
    );
  }

  /**
   * A caller who may use the right on all functions of a namespace may use it on each (Kubernetes API, ResourceAttributes.name: "empty
   * means all"), so the first invocation of a function waits for no review where another one of the namespace was asked about before.
   */
  #allowed(caller: Caller, target: AccessTarget, right: Right): boolean | Promise<boolean> {
    const ofAll = `${caller.id}\n${right.subresource} ${target.namespace}/`;
    const ofOne = `${ofAll}${target.name}`;
    const asked = { caller, target, right };
    if (target.name === "" || this.#decisions.has(ofOne)) return this.#decisions.get(ofOne, asked);
    const all = this.#decisions.get(ofAll, { ...asked, target: { ...target, name: "" } });
    if (all === true) return true;
    const named = this.#decisions.get(ofOne, asked);
    if (all === false) return named;
    // Who of the two is asked first makes no difference to a caller who waits for both.
    return Promise.all([all, named]).then((allowed) => allowed.includes(true));
  }

  async #review({ username, uid, groups, extra }: Caller, target: AccessTarget, right: Right): Promise<boolean> {
    const { client, metrics } = this.#options;
    try {
      const review = await client.post<SubjectAccessReview>(REVIEWS, {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        spec: {
          user: username,
          groups,
          uid,
          extra,
          resourceAttributes: {
            group: GROUP,
            resource: right.resource,
            subresource: right.subresource,
            verb: right.verb,
            namespace: target.namespace,
            ...(target.name === "" ? {} : { name: target.name }),
          },
        },
      });
      const allowed = review.status?.allowed === true;
      metrics.authorisationReview(allowed ? "allowed" : "denied");
      return allowed;
    } catch (error) {
      metrics.authorisationReview("error");
      throw error;
    }
  }
}

function enforce(allowed: boolean, caller: Caller, target: AccessTarget, { action, verb, resource, subresource }: Right): undefined {
  if (allowed) return undefined;
  const on = target.name === "" ? "" : ` '${target.name}'`;
  throw new KappaError(
    "K108",
    `User: ${caller.username} is not authorized to perform: ${action} on resource: ${target.arn} because RBAC grants it no '${verb}' on ${resource}/${subresource}${on} of ${GROUP} in namespace '${target.namespace}'`,
  );
}
