import { expect, test } from "vitest";
import { billingReport } from "../domain/billing-report.ts";
import { KappaError } from "../domain/errors.ts";
import { BillingApi } from "./billing-api.ts";
import { serviceAccountCaller } from "./caller.ts";

const use = { invocations: 1, errors: 0, throttles: 0, billedMs: 5, memoryMs: 640 };
const caller = serviceAccountCaller("team", "deployer");
const admin = { id: "admin", username: "admin", groups: [] };

function setup(allowed = true) {
  const asked: unknown[] = [];
  const api = new BillingApi({
    ledger: { report: async ({ day, accountId }) => billingReport({ day, accountId }, [{ greet: use }]) },
    authoriser: {
      authorise: (who, target, right) => {
        asked.push({ who: who.username, ...target, ...right });
        if (!allowed) throw new KappaError("K108", "no");
        return undefined;
      },
    },
    accounts: {
      idOf: (namespace) => (namespace === "team" ? "000000000001" : undefined),
      namespaceOf: (id) => (id === "000000000001" ? "team" : undefined),
    },
    region: "us-east-1",
  });
  return { api, asked };
}

test("serves reading of its own path and nothing else", () => {
  const { api } = setup();
  expect(api.serves("GET", "/kappa/v1/billing/2026-11-23")).toBe(true);
  expect(api.serves("POST", "/kappa/v1/billing/2026-11-23")).toBe(false);
  expect(api.serves("GET", "/2015-03-31/functions/billing")).toBe(false);
});

test("gives the report as JSON, or as a table", async () => {
  const { api } = setup();
  const json = await api.answer(caller, "/kappa/v1/billing/2026-11-23");
  expect(json.contentType).toBe("application/json");
  expect(JSON.parse(json.body)).toMatchObject({ day: "2026-11-23", total: { billedDurationMs: 5 } });
  const table = await api.answer(caller, "/kappa/v1/billing/2026-11-23?format=table");
  expect(table.contentType).toContain("text/plain");
  expect(table.body).toContain("greet");
});

test("asks RBAC whether the caller may read it, in the account that was named", async () => {
  const { api, asked } = setup();
  await api.answer(admin, "/kappa/v1/billing/2026-11-23?account=000000000001");
  expect(asked).toMatchObject([{ who: "admin", namespace: "team", verb: "get", resource: "functions", subresource: "billing" }]);
  await expect(setup(false).api.answer(caller, "/kappa/v1/billing/2026-11-23")).rejects.toMatchObject({ code: "K108" });
});

test.each([
  ["a day that does not exist", caller, "/kappa/v1/billing/2026-02-30", "K103"],
  ["no day", caller, "/kappa/v1/billing/", "K103"],
  ["another format", caller, "/kappa/v1/billing/2026-11-23?format=xml", "K103"],
  ["what is no account id", caller, "/kappa/v1/billing/2026-11-23?account=team", "K103"],
  ["no account from somebody who has none", admin, "/kappa/v1/billing/2026-11-23", "K103"],
  ["an account that is not enabled", admin, "/kappa/v1/billing/2026-11-23?account=000000000002", "K108"],
])("refuses %s", async (_, who, target, code) => {
  await expect(setup().api.answer(who, target)).rejects.toMatchObject({ code });
});
