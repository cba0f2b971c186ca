import { decimalOfUnits } from "../domain/grants/index.ts";
import type { Balance, LedgerKind } from "../domain/ledger/index.ts";
import { earnedAt, valueBetween } from "../domain/revenue/index.ts";
import { currency } from "../kit/currency.ts";
import { zero } from "../kit/decimal.ts";
import { formatMoney, minus, type Money, money, negated } from "../kit/money.ts";
import type { Db } from "../store/connect.ts";
import {
  listPaidGrants,
  listUnbooked,
  type Owed,
  sumCash,
  sumReceivables,
  sumSales,
  sumTaxes,
  sumUnbilled,
} from "../store/books-proof.ts";
import { listLedgerBalances } from "../store/journal.ts";
import { listOrganizationIds } from "../store/organizations.ts";
import { listSchedules } from "../store/revenue-schedules.ts";
import { snapshot } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/** An account of the books that does not hold what documents, payments and grants say. */
export type BooksFault = {
  readonly orgId: string;
  readonly where: string;
  readonly stored: string;
  readonly recomputed: string;
};

/**
 * Work the books out again from documents, payments, purchases and grants, and compare: receivable, tax, unbilled, deferred,
 * and per SKU that what was recognised, deferred and given back is what was sold. Another path than the postings took: sums
 * over what stands, not transactions one by one.
 */
export async function proveBooks(
  env: Env,
  of: { readonly orgId?: string } = {},
): Promise<BooksFault[]> {
  const orgIds = of.orgId === undefined ? await listOrganizationIds(env.store.db) : [of.orgId];
  const faults: BooksFault[] = [];
  for (const orgId of orgIds)
    faults.push(...(await snapshot(env.store.db, (db) => proveOrganization(db, orgId))));
  return faults;
}

async function proveOrganization(db: Db, orgId: string): Promise<BooksFault[]> {
  const balances = await listLedgerBalances(db, { orgId });
  const deferred = await deferredOf(db, orgId);
  const cash = await sumCash(db, orgId);
  const compared: [readonly LedgerKind[], readonly Owed[]][] = [
    [["receivable"], await sumReceivables(db, orgId)],
    [["tax"], await sumTaxes(db, orgId)],
    [["unbilled"], await sumUnbilled(db, orgId)],
    [["deposits"], cash.excess],
    [["deferred"], deferred.owed],
    [["revenue", "breakage", "refunds", "deferred"], await sumSales(db, orgId)],
  ];
  const faults = compared.flatMap(([kinds, owed]) => differences(balances, kinds, owed));
  const unbooked = (await listUnbooked(db, orgId)).map(({ number, total }) => ({
    where: `${number} in the books`,
    stored: "nothing",
    recomputed: formatMoney(total),
  }));
  const bank = differences(
    balances.filter((one) => one.account === "assets:cash:bank"),
    ["cash"],
    cash.bank,
  );
  const forgiven = differences(
    balances.filter((one) => one.account.endsWith(":EARLY-PAYMENT")),
    ["discounts"],
    cash.forgiven,
  );
  return [...unbooked, ...deferred.faults, ...faults, ...bank, ...forgiven].map((fault) => ({
    orgId,
    ...fault,
  }));
}

type Found = Omit<BooksFault, "orgId">;

/** Fees not earned yet and units not used yet, each from what they follow from. */
async function deferredOf(db: Db, orgId: string): Promise<{ owed: Owed[]; faults: Found[] }> {
  const faults: Found[] = [];
  const owed: Owed[] = [];
  for (const one of await listSchedules(db, orgId)) {
    const earned = earnedAt(one.amount, one.over, one.earnedUntil);
    if (earned.minor !== one.earned.minor)
      faults.push({
        where: `earned of ${one.invoiceId}, line ${one.lineNo}`,
        stored: formatMoney(one.earned),
        recomputed: formatMoney(earned),
      });
    owed.push({ of: one.sku, amount: negated(minus(one.amount, earned)) });
  }
  for (const { sku, paid, size, gone } of await listPaidGrants(db, orgId)) {
    const used = valueBetween(paid, decimalOfUnits(size), zero, decimalOfUnits(gone));
    owed.push({ of: sku, amount: negated(minus(paid, used)) });
  }
  return { owed, faults };
}

/** Compare what the books hold on accounts of some kinds, by owner and currency, with what they must hold. */
function differences(
  balances: readonly Balance[],
  kinds: readonly LedgerKind[],
  owed: readonly Owed[],
): Found[] {
  const held = new Map<string, bigint>();
  const due = new Map<string, bigint>();
  const put = (to: Map<string, bigint>, name: string, minor: bigint) =>
    to.set(name, (to.get(name) ?? 0n) + minor);
  for (const one of balances) {
    const [, kind = "", owner = ""] = one.account.split(":");
    if (one.kind === "money" && (kinds as readonly string[]).includes(kind))
      put(held, `${owner} ${one.commodity}`, BigInt(one.number.toFixed()));
  }
  for (const { of, amount } of owed) put(due, `${of} ${amount.currency}`, amount.minor);
  return [...new Set([...held.keys(), ...due.keys()])].toSorted().flatMap((name) => {
    const [stored, recomputed] = [held.get(name) ?? 0n, due.get(name) ?? 0n];
    if (stored === recomputed) return [];
    const [owner = "", code = ""] = name.split(" ");
    const text = (minor: bigint): string => `${formatMoney(moneyOf(code, minor))} ${code}`;
    return [
      {
        where: `${kinds.join(" + ")} of ${owner}`,
        stored: text(stored),
        recomputed: text(recomputed),
      },
    ];
  });
}

const moneyOf = (code: string, minor: bigint): Money => money(currency(code), minor);
