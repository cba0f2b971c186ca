import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Currency } from "../../kit/currency.ts";
import { type Instant, instant } from "../../kit/time.ts";
import { type BillingAccount, mayBePaidBy, mayEdit } from "./account.ts";
import { conditionsOf, type InvoicingFacts } from "./conditions.ts";
import {
  type AccountStatus,
  accountEvents,
  accountStatuses,
  mayArchive,
  mayReactivate,
  transitions,
} from "./lifecycle.ts";
import { mayStandBelow, type OrganizationKind } from "./organization.ts";

const now = instant("2025-01-01T00:00:00Z");
const anAccount = (more: Partial<BillingAccount> = {}): BillingAccount => ({
  id: "acc_1",
  organizationId: "org_1",
  slug: "acme-usd",
  name: "Acme",
  currency: "USD" as Currency,
  timeZone: "UTC",
  priceBook: null,
  invoiceDay: 1,
  cycle: "month",
  terms: null,
  parentId: null,
  status: "ready",
  statusReason: "",
  statusAt: now,
  activatedAt: now,
  causeCleared: null,
  legalName: null,
  address: null,
  taxIds: [],
  contacts: [],
  apEmail: null,
  poNumber: null,
  language: "en",
  createdAt: now,
  ...more,
});

describe("the life of an account", () => {
  test("every state answers every event, and leads to a state or says why not", () => {
    for (const status of accountStatuses) {
      for (const event of accountEvents) {
        const outcome = transitions[status][event];
        if (typeof outcome === "object") expect(outcome.refused).toMatch(/^account_/);
        else expect([...accountStatuses, "same"]).toContain(outcome);
      }
    }
  });

  test("nothing leaves the archive, and only reactivation lifts a suspension", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...accountStatuses),
        fc.array(fc.constantFrom(...accountEvents), { maxLength: 30 }),
        (first, events) => {
          let status: AccountStatus = first;
          for (const event of events) {
            const outcome = transitions[status][event];
            const next = typeof outcome === "object" || outcome === "same" ? status : outcome;
            if (status === "archived") expect(next).toBe("archived");
            if (status === "suspended" && next === "ready") expect(event).toBe("reactivate");
            expect(next === "provisioning" && status !== "provisioning").toBe(false);
            status = next;
          }
        },
      ),
    );
  });

  test("reactivation needs the cause cleared, by somebody else than who approves", () => {
    expect(mayReactivate(null, "key_finn")).toBe("account_cause_not_cleared");
    expect(mayReactivate({ by: "key_finn" }, "key_finn")).toBe("account_needs_other_approver");
    expect(mayReactivate({ by: "key_finn" }, "key_ada")).toBeUndefined();
  });

  test("it closes when nothing points at it and nothing is owed", () => {
    const clear = { activeBindings: 0, openInvoices: 0, hasUninvoicedUsage: false, children: 0 };
    expect(mayArchive(clear)).toBeUndefined();
    expect(mayArchive({ ...clear, activeBindings: 1 })).toBe("account_has_bindings");
    expect(mayArchive({ ...clear, children: 1 })).toBe("account_has_children");
    expect(mayArchive({ ...clear, openInvoices: 1 })).toBe("account_has_balance");
    expect(mayArchive({ ...clear, hasUninvoicedUsage: true })).toBe("account_has_balance");
  });
});

describe("what may be edited", () => {
  const none = { hasBindings: false, hasUsage: false, hasInvoices: false, hasPayers: false };
  const eur = { currency: "EUR" as Currency };

  test("the currency until the account was ready, never after", () => {
    expect(mayEdit(anAccount({ activatedAt: null }), none, eur)).toBeUndefined();
    expect(mayEdit(anAccount(), none, eur)).toBe("account_currency_fixed");
    expect(mayEdit(anAccount(), none, { currency: "USD" as Currency })).toBeUndefined();
  });

  test("zone, day and cycle until there is usage or an invoice", () => {
    const zone = { timeZone: "Europe/Berlin" };
    expect(mayEdit(anAccount(), none, zone)).toBeUndefined();
    expect(mayEdit(anAccount(), { ...none, hasUsage: true }, zone)).toBe("account_periods_fixed");
    expect(
      mayEdit(anAccount(), { ...none, hasInvoices: true, hasPayers: false }, { invoiceDay: 15 }),
    ).toBe("account_periods_fixed");
  });

  test("nothing of an archived account", () => {
    expect(mayEdit(anAccount({ status: "archived" }), none, {})).toBe("account_archived");
  });
});

describe("who pays for whom", () => {
  const usd = (id: string) => anAccount({ id: `acc_${id}` });

  test("no circle, one currency, four levels", () => {
    expect(mayBePaidBy(usd("a"), [usd("b")], 0)).toBeUndefined();
    expect(mayBePaidBy(usd("a"), [usd("a")], 0)).toBe("account_parent_circle");
    expect(mayBePaidBy(usd("a"), [usd("b"), usd("a")], 0)).toBe("account_parent_circle");
    const eur = anAccount({ id: "acc_b", currency: "EUR" as Currency });
    expect(mayBePaidBy(usd("a"), [eur], 0)).toBe("account_parent_currency");
    expect(mayBePaidBy(usd("a"), [usd("b"), usd("c"), usd("d")], 0)).toBeUndefined();
    expect(mayBePaidBy(usd("a"), [usd("b"), usd("c"), usd("d")], 1)).toBe(
      "account_parent_too_deep",
    );
  });

  test("organizations: customers below partners, never in a circle, five levels", () => {
    const org = (id: string, kind: OrganizationKind = "partner") => ({ id, kind });
    expect(mayStandBelow(org("a", "partner_customer"), [org("p")])).toBeUndefined();
    expect(mayStandBelow(org("a", "partner_customer"), [])).toBe("organization_parent_unfit");
    expect(mayStandBelow(org("a", "direct"), [])).toBeUndefined();
    expect(mayStandBelow(org("a", "direct"), [org("p")])).toBe("organization_parent_unfit");
    expect(mayStandBelow(org("a"), [org("d", "direct")])).toBe("organization_parent_unfit");
    expect(mayStandBelow(org("a"), [org("b"), org("a")])).toBe("organization_parent_circle");
    const deep = ["b", "c", "d", "e", "f"].map((id) => org(id));
    expect(mayStandBelow(org("a"), deep)).toBe("organization_parent_too_deep");
  });
});

describe("conditions", () => {
  const none: InvoicingFacts = { invoiceCount: 0, pastDueCount: 0, since: null };
  const statusOf = (account: BillingAccount, facts = none) =>
    conditionsOf(account, facts).map((one) => `${one.type}=${one.status}:${one.reason}`);
  const later = instant("2025-03-01T00:00:00Z") as Instant;

  test("each answers with a reason and since when", () => {
    expect(statusOf(anAccount({ status: "provisioning" }))).toEqual([
      "Ready=false:WaitingForPayment",
      "PaymentReady=false:NoPaymentMethod",
      "InvoicingReady=true:NoInvoicesYet",
    ]);
    const terms = {
      netDays: 30,
      creditLimit: null,
      agreementReference: null,
      earlyDiscount: null,
      lateFee: null,
      grantedAt: now,
    };
    const late = { invoiceCount: 3, pastDueCount: 1, since: later };
    expect(statusOf(anAccount({ status: "suspended", terms }), late)).toEqual([
      "Ready=false:Suspended",
      "PaymentReady=true:TermsActive",
      "InvoicingReady=false:PastDue",
    ]);
    expect(conditionsOf(anAccount({ terms }), late)[2]?.since).toBe(later);
  });
});
