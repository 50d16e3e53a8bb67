import { billingTable, isDay } from "../domain/billing-report.ts";
import { KappaError } from "../domain/errors.ts";
import { type Authoriser, READ_BILLING } from "./authoriser.ts";
import type { BillingLedger } from "./billing-ledger.ts";
import type { Caller } from "./caller.ts";

/** `GET /kappa/v1/billing/{YYYY-MM-DD}?format=json|table&account={id}`: an operation of Kappa's own, which Lambda has no counterpart of. */
const PATH = "/kappa/v1/billing/";

/** An answer that is whole. */
export interface OwnAnswer {
  contentType: string;
  body: string;
}

export interface BillingApiOptions {
  ledger: Pick<BillingLedger, "report">;
  authoriser: Pick<Authoriser, "authorise">;
  accounts: { idOf(namespace: string): string | undefined; namespaceOf(accountId: string): string | undefined };
  region: string;
}

/** Serves the billing report of an account and day. */
export class BillingApi {
  readonly #options: BillingApiOptions;

  constructor(options: BillingApiOptions) {
    this.#options = options;
  }

  /** @param target path and query as they came */
  serves(method: string, target: string): boolean {
    return method === "GET" && target.startsWith(PATH);
  }

  /** @throws KappaError K103, K106 or K108 */
  async answer(caller: Caller, target: string): Promise<OwnAnswer> {
    const { ledger, authoriser, region } = this.#options;
    const { day, format, account } = parse(target);
    const { namespace, accountId } = this.#accountOf(caller, account);
    await authoriser.authorise(caller, { namespace, name: "", arn: `arn:aws:lambda:${region}:${accountId}:function:*` }, READ_BILLING);
    try {
      const report = await ledger.report({ day, namespace, accountId });
      if (format === "table") return { contentType: "text/plain; charset=utf-8", body: billingTable(report) };
      return { contentType: "application/json", body: JSON.stringify(report) };
    } catch (cause) {
      throw new KappaError("K106", "What functions used could not be read from NATS. Retry the request.", { cause });
    }
  }

  #accountOf(caller: Caller, account: string | undefined): { namespace: string; accountId: string } {
    const { accounts } = this.#options;
    const namespace = account === undefined ? caller.namespace : accounts.namespaceOf(account);
    if (namespace === undefined && account === undefined)
      throw new KappaError("K103", `${caller.username} belongs to no account, so the account has to be named: add ?account=ID`);
    const accountId = account ?? accounts.idOf(namespace ?? "");
    if (namespace === undefined || accountId === undefined)
      throw new KappaError(
        "K108",
        `User: ${caller.username} is not authorized to perform: ${READ_BILLING.action} because its account ${accountId ?? namespace} is not enabled for Kappa`,
      );
    return { namespace, accountId };
  }
}

function parse(target: string): { day: string; format: "json" | "table"; account: string | undefined } {
  const question = target.indexOf("?");
  const day = target.slice(PATH.length, question < 0 ? undefined : question);
  const query = new URLSearchParams(question < 0 ? "" : target.slice(question + 1));
  if (!isDay(day)) throw new KappaError("K103", `"${day.slice(0, 40)}" is no day: write it as in ${PATH}2026-01-31, in UTC`);
  const format = query.get("format") ?? "json";
  if (format !== "json" && format !== "table")
    throw new KappaError("K103", `format "${format.slice(0, 40)}" is not known: use json or table`);
  const account = query.get("account") ?? undefined;
  if (account !== undefined && !/^\d{12}$/.test(account))
    throw new KappaError("K103", `account "${account.slice(0, 40)}" is no account id: it has 12 digits`);
  return { day, format, account };
}
