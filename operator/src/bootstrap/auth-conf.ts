/**
 * NATS's accounts and users as text for `auth.conf`, which the chart's nats.conf includes. Two accounts: KAPPA
 * for what Kappa keeps, USER for what functions and their owners keep. Neither sees the other's subjects or streams.
 *
 * Rights are the subjects that the JetStream API and an object store use (docs.nats.io, "JetStream wire API reference";
 * ADR-20 of NATS for `$O.<bucket>.C|M.>`). A user who may not publish to a subject may not do what it stands for.
 */

/** Bucket of the function packages, in the account KAPPA (docs: operator/src/bus). */
const PACKAGES_BUCKET = "kappa-packages";

/** Stream of what functions used, in the account KAPPA (docs: operator/src/bus). */
const BILLING_STREAM = "kappa-billing";

/** Public keys (`U…`) of everybody who may log in. */
export interface AuthKeys {
  /** The controller in KAPPA: writes packages. */
  controller: string;
  /** The gateway in KAPPA: reads packages, writes and reads what was used. */
  gateway: string;
  /** The controller in USER: reads the objects that Functions name as their code. */
  controllerInUser: string;
  /** The administrator of USER. */
  userAdmin: string;
}

interface User {
  nkey: string;
  /** Subjects that may be published to; absent: all of the account's. */
  publish?: string[];
  /** Subjects that may be subscribed to; absent: all of the account's. */
  subscribe?: string[];
}

/** Replies arrive here. */
const INBOX = ["_INBOX.>"];

/** Reading messages of a stream (`*`: of any) one by one, from its leader or any replica. No consumers: those could also take away. */
const readStream = (stream: string): string[] => [
  `$JS.API.STREAM.MSG.GET.${stream}`,
  `$JS.API.DIRECT.GET.${stream}`,
  `$JS.API.DIRECT.GET.${stream}.>`,
];

/** Making an object store's stream, adding objects, and clearing away the chunks of an upload that broke off. */
const writeBucket = (bucket: string): string[] => [
  "$JS.API.INFO",
  `$JS.API.STREAM.INFO.OBJ_${bucket}`,
  `$JS.API.STREAM.CREATE.OBJ_${bucket}`,
  `$JS.API.STREAM.PURGE.OBJ_${bucket}`,
  `$O.${bucket}.>`,
];

/** Making the stream of what was used, and writing and reading there. */
const writeBilling: string[] = [
  `$JS.API.STREAM.INFO.${BILLING_STREAM}`,
  `$JS.API.STREAM.CREATE.${BILLING_STREAM}`,
  "kappa.billing.>",
  ...readStream(BILLING_STREAM),
];

/** The text of `auth.conf`. The same keys always give the same text. */
export function authConf(keys: AuthKeys): string {
  const packages = `OBJ_${PACKAGES_BUCKET}`;
  return [
    "# Written by Kappa's bootstrap job from the keys in this namespace's Secrets; changes by hand are overwritten.",
    "accounts: {",
    ...account("KAPPA", [
      { nkey: keys.controller, publish: [...readStream(packages), ...writeBucket(PACKAGES_BUCKET)], subscribe: INBOX },
      { nkey: keys.gateway, publish: [...readStream(packages), ...writeBilling], subscribe: INBOX },
    ]),
    ...account("USER", [
      // Any stream: which bucket a Function names is not known here. The controller itself keeps to `<namespace>_<bucket>`.
      { nkey: keys.controllerInUser, publish: readStream("*"), subscribe: INBOX },
      { nkey: keys.userAdmin },
    ]),
    "}",
    "",
  ].join("\n");
}

function account(name: string, users: User[]): string[] {
  return [`  ${name}: {`, "    jetstream: enabled", "    users: [", ...users.flatMap(user), "    ]", "  }"];
}

function user({ nkey, publish, subscribe }: User): string[] {
  const allow = (what: string, subjects: string[] | undefined): string[] =>
    subjects === undefined ? [] : [`        ${what}: { allow: ${JSON.stringify(subjects)} }`];
  const permissions = [...allow("publish", publish), ...allow("subscribe", subscribe)];
  if (permissions.length === 0) return [`      { nkey: ${nkey} }`];
  return [`      { nkey: ${nkey}, permissions: {`, ...permissions, "      } }"];
}
