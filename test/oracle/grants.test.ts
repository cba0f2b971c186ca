import { expect } from "vitest";
import {
  addUnits,
  applyCredits,
  compareDrawOrder,
  drawFrom,
  expireUnused,
  expiryAfterDays,
  never,
  type OpenGrant,
  openPool,
  previewPurchase,
  priorityDefault,
  readUnits,
  splitReturn,
  subtractUnits,
  sumUnits,
  type Units,
  writeUnits,
} from "../../src/domain/grants/index.ts";
import { currency } from "../../src/kit/currency.ts";
import {
  add,
  type Decimal,
  decimal,
  decimalOf,
  divide,
  formatDecimal,
  greatest,
  least,
  multiply,
  subtract,
  sumOf,
  zero,
} from "../../src/kit/decimal.ts";
import type { GrantId } from "../../src/kit/ids.ts";
import { formatMoney, money, parseMoney, sumMoney, toMoney } from "../../src/kit/money.ts";
import { type Instant, instant } from "../../src/kit/time.ts";
import { oracle } from "./cases.ts";

// Adapters: another product's words in, our functions, its words out.
const usd = currency("USD");
const text = (value: number | string | Decimal): string =>
  typeof value === "object" ? formatDecimal(value) : String(value);
const units = (value: number | string): Units => readUnits(String(value));
const early = instant("2020-01-01T00:00:00Z");

let made = 0;
const grantOf = (changes: Partial<Omit<OpenGrant, "id">> & { id: string }): OpenGrant => ({
  origin: "purchase",
  priority: priorityDefault,
  validFrom: early,
  expiresAt: never,
  unitCost: decimal("1"),
  createdAt: (early + made++) as Instant,
  remaining: 0,
  expired: 0,
  ...changes,
  id: changes.id as GrantId,
});

/** Draw quantities one after the other; what remains per grant, and the overage. */
function drain(grants: readonly OpenGrant[], quantities: readonly Units[]) {
  const pool = openPool(grants.toSorted(compareDrawOrder));
  const overage = sumUnits(
    quantities.map((quantity, seq) =>
      drawFrom(pool, { quantity, at: instant("2024-06-01T00:00:00Z"), periodOpen: true }, seq),
    ),
  );
  const left = Object.fromEntries(
    pool.grants.map((grant, index) => [grant.id, writeUnits(pool.remaining[index] ?? 0)]),
  );
  return { pool, left, overage, total: writeUnits(sumUnits(pool.remaining)) };
}

oracle<
  {
    tiers: { up_to: string | null; unit: string; flat: string }[];
    quantity: string;
    credits: string[];
  },
  { credited: string; net: string; per_line_credits?: string[][] }
>("credits.apply_to_invoice_lines", ({ input, expected }) => {
  let below = zero;
  const lines = input.tiers.map((tier, index) => {
    const slice = greatest(
      zero,
      subtract(
        tier.up_to ? least(decimal(tier.up_to), decimal(input.quantity)) : decimal(input.quantity),
        below,
      ),
    );
    below = tier.up_to ? decimal(tier.up_to) : below;
    const amount = add(
      multiply(slice, decimal(tier.unit)),
      slice.isZero() ? zero : decimal(tier.flat),
    );
    return { id: String(index), kind: "usage", due: toMoney(amount, usd) };
  });
  const credits = input.credits.map((amount, index) => ({
    id: String(index),
    balance: parseMoney(amount, usd),
    covers: null,
  }));
  const { uses, due } = applyCredits(lines, credits);
  const total = (amounts: Parameters<typeof sumMoney>[1]) =>
    decimal(formatMoney(sumMoney(usd, amounts)));
  expect(text(total(uses.map((use) => use.amount)))).toBe(expected.credited);
  expect(text(total(due.values()))).toBe(expected.net);
  for (const [line, amounts] of (expected.per_line_credits ?? []).entries())
    expect(
      uses
        .filter((use) => use.lineId === String(line))
        .map((use) => text(decimal(formatMoney(use.amount)))),
    ).toEqual(amounts);
});

type BurnGrant = {
  id: string;
  amount: string;
  priority: number;
  effective_at: string;
  expires_after: string;
  voided_at?: string;
  recurrence?: { interval: string; anchor: string };
};
oracle<
  {
    meter?: string;
    grants: BurnGrant[];
    usage: { at: string; value: string }[];
    from: string;
    until: string;
    starting_balances?: Record<string, string>;
    resets?: string[];
  },
  { balances: Record<string, string>; overage?: string }
>("credits.burndown", ({ input, expected }) => {
  const days: Record<string, number> = { P30D: 30, P100Y: 36_500 };
  const from = instant(input.from);
  const until = instant(input.until);
  const grants: OpenGrant[] = input.grants.flatMap((grant) => {
    const validFrom = instant(grant.effective_at);
    const ends = expiryAfterDays(validFrom, days[grant.expires_after] ?? Number.NaN);
    const end = grant.voided_at ? instant(grant.voided_at) : ends;
    const start = input.starting_balances?.[grant.id];
    const one = (id: string, at: Instant, expiresAt: Instant, amount: string) =>
      grantOf({ id, priority: grant.priority, validFrom: at, expiresAt, remaining: units(amount) });
    // A recurring grant is one allowance per interval.
    if (!grant.recurrence)
      return [one(grant.id, validFrom, end, validFrom < from ? (start ?? "0") : grant.amount)];
    const week = 7 * 86_400_000_000;
    const anchor = instant(grant.recurrence.anchor);
    const list = [one(`${grant.id}.0`, validFrom, anchor, start ?? grant.amount)];
    for (let at = anchor; at <= until; at = (at + week) as Instant)
      list.push(one(`${grant.id}.${at}`, at, Math.min(at + week, end) as Instant, grant.amount));
    return list;
  });
  const pool = openPool(grants.toSorted(compareDrawOrder));
  let overage: Units = 0;
  for (const [seq, use] of input.usage.entries()) {
    const at = instant(use.at);
    if (at < from || at >= until) continue;
    overage = addUnits(
      overage,
      drawFrom(pool, { quantity: units(use.value), at, periodOpen: true }, seq),
    );
  }
  const balances: Record<string, Units> = {};
  for (const [index, grant] of pool.grants.entries()) {
    const [name] = grant.id.split(".") as [string];
    const lapsed = expireUnused({ ...grant, remaining: pool.remaining[index] } as never, until);
    const left = addUnits(pool.remaining[index] ?? 0, lapsed?.quantity ?? 0);
    if (until >= grant.validFrom) balances[name] = addUnits(balances[name] ?? 0, left);
  }
  expect(
    Object.fromEntries(Object.entries(balances).map(([id, left]) => [id, writeUnits(left)])),
  ).toEqual(expected.balances);
  if (expected.overage !== undefined) expect(writeUnits(overage)).toBe(expected.overage);
});

type Wallet = { id: string; balance_cents: number; priority?: number; only?: string[] };
const creditsOf = (wallets: readonly Wallet[]) =>
  wallets
    .map((wallet) => ({
      wallet,
      grant: grantOf({ id: wallet.id, priority: wallet.priority ?? priorityDefault }),
    }))
    .toSorted((a, b) => compareDrawOrder(a.grant, b.grant))
    .map(({ wallet }) => ({
      id: wallet.id,
      balance: money(usd, BigInt(wallet.balance_cents)),
      covers: wallet.only ?? null,
    }));

oracle<
  { wallets_in_creation_order: Wallet[]; fees_incl_tax_cents: Record<string, number> },
  { consumption_cents: Record<string, number> }
>("wallet.allocation", ({ input, expected }) => {
  const lines = Object.entries(input.fees_incl_tax_cents).map(([kind, cents]) => ({
    id: kind,
    kind,
    due: money(usd, BigInt(cents)),
  }));
  const { uses } = applyCredits(lines, creditsOf(input.wallets_in_creation_order));
  const consumed: Record<string, number> = {};
  for (const use of uses)
    consumed[use.creditId] = (consumed[use.creditId] ?? 0) + Number(use.amount.minor);
  expect(consumed).toEqual(expected.consumption_cents);
});

oracle<
  { wallets: Wallet[]; fees: { amount_cents: number; tax_cents: number }[] },
  { consumed_cents: number }
>("wallet.allocation.limited_last_fee", ({ input, expected }) => {
  const lines = input.fees.map((fee, index) => ({
    id: String(index),
    kind: input.wallets[0]?.only?.[0] ?? "",
    due: money(usd, BigInt(fee.amount_cents + fee.tax_cents)),
  }));
  const { uses } = applyCredits(lines, creditsOf(input.wallets));
  expect(
    Number(
      sumMoney(
        usd,
        uses.map((use) => use.amount),
      ).minor,
    ),
  ).toBe(expected.consumed_cents);
});

oracle<
  {
    inbound: { id: string; cents: number; type: "granted" | "purchased" }[];
    consume_cents: number;
  },
  { consumed: Record<string, number> }
>("wallet.traceable_consumption", ({ input, expected }) => {
  const grants = input.inbound.map((one) =>
    grantOf({
      id: one.id,
      remaining: one.cents,
      unitCost: decimal(one.type === "granted" ? "0" : "1"),
    }),
  );
  const { pool } = drain(grants, [input.consume_cents]);
  expect(Object.fromEntries(pool.parts.map((part) => [part.grant.id, part.quantity]))).toEqual(
    expected.consumed,
  );
});

oracle<
  {
    credits: (string | { amount: string; priority: number | null; expires?: string })[];
    debit: string;
  },
  { balance: string; remaining_on_priority_1?: string }
>("wallet.burndown", ({ input, expected }) => {
  const grants = input.credits.map((one, index) =>
    typeof one === "string"
      ? grantOf({ id: String(index), remaining: units(one) })
      : grantOf({
          id: `${one.priority}-${index}`,
          remaining: units(one.amount),
          priority: one.priority ?? 99,
          expiresAt: one.expires === "earlier" ? instant("2030-01-01T00:00:00Z") : never,
        }),
  );
  const { left, total } = drain(grants, [units(input.debit)]);
  expect(total).toBe(expected.balance);
  if (expected.remaining_on_priority_1 !== undefined) {
    const first = Object.entries(left).filter(([id]) => id.startsWith("1-"));
    expect(writeUnits(sumUnits(first.map(([, value]) => units(value))))).toBe(
      expected.remaining_on_priority_1,
    );
  }
});

oracle<
  {
    line_amount?: string;
    line_discount?: string;
    invoice_discount_share?: string;
    fixed_line_amount?: string;
    wallet_balance: string;
  },
  { credits_applied: string }
>("wallet.invoice_adjustment", ({ input, expected }) => {
  const fixed = input.fixed_line_amount !== undefined;
  const off = add(
    decimal(input.line_discount ?? "0"),
    decimal(input.invoice_discount_share ?? "0"),
  );
  const due = toMoney(
    subtract(decimal(input.line_amount ?? input.fixed_line_amount ?? "0"), off),
    usd,
  );
  const wallet = { id: "w", balance: parseMoney(input.wallet_balance, usd), covers: ["usage"] };
  const { uses } = applyCredits([{ id: "l", kind: fixed ? "fixed" : "usage", due }], [wallet]);
  expect(
    text(
      decimal(
        formatMoney(
          sumMoney(
            usd,
            uses.map((use) => use.amount),
          ),
        ),
      ),
    ),
  ).toBe(expected.credits_applied);
});

oracle<
  { slots: { quota: string; used: string }[]; unit: string },
  { overage: string; total: string }
>("entitlement.grant_overage", ({ input, expected }) => {
  const overage = sumUnits(
    input.slots.map(
      (slot) =>
        drain([grantOf({ id: "slot", remaining: units(slot.quota) })], [units(slot.used)]).overage,
    ),
  );
  expect(writeUnits(overage)).toBe(expected.overage);
  expect(text(multiply(decimal(writeUnits(overage)), decimal(input.unit)))).toBe(expected.total);
});

/** What stays beyond an included quantity, at a price per so many units. */
function beyond(
  used: string | number,
  included: string | number,
  price: string,
  per: string | number = 1,
): Decimal {
  const { overage } = drain(
    [grantOf({ id: "included", origin: "allowance", remaining: units(included) })],
    [units(used)],
  );
  return divide(multiply(decimal(writeUnits(overage)), decimal(price)), decimal(text(per)));
}

oracle<{ monthly_grant: number; used: number }, { next_balance: number }>(
  "balance.rollover",
  ({ input, expected }) => {
    const { total } = drain(
      [grantOf({ id: "month", remaining: input.monthly_grant })],
      [input.used],
    );
    const next = [
      grantOf({ id: "carried", remaining: units(total) }),
      grantOf({ id: "next", remaining: input.monthly_grant }),
    ];
    expect(drain(next, []).total).toBe(text(expected.next_balance));
  },
);

oracle<
  { units_granted: string; used: string; next_grant: string; rollover_pct: string },
  { rollover: string; next_opening: string }
>("prepaid_rollover", ({ input, expected }) => {
  const { total } = drain(
    [grantOf({ id: "now", remaining: units(input.units_granted) })],
    [units(input.used)],
  );
  const kept = divide(multiply(decimal(total), decimal(input.rollover_pct)), decimalOf(100));
  expect(text(kept)).toBe(expected.rollover);
  expect(writeUnits(addUnits(units(text(kept)), units(input.next_grant)))).toBe(
    expected.next_opening,
  );
});

oracle<{ units: number; credit_cost: number }, { credits: number }>(
  "credits.cost",
  ({ input, expected }) => {
    const asked = multiply(decimalOf(input.units), decimalOf(input.credit_cost));
    const { left } = drain([grantOf({ id: "pool", remaining: 100 })], [units(text(asked))]);
    expect(100 - Number(left["pool"])).toBe(expected.credits);
  },
);

oracle<
  { balance: string; events: { units: string; credit_cost: string }[] },
  { used: string; remaining: string }
>("credit_burn", ({ input, expected }) => {
  const asked = input.events.map((one) =>
    units(text(multiply(decimal(one.units), decimal(one.credit_cost)))),
  );
  const { total } = drain([grantOf({ id: "c", remaining: units(input.balance) })], asked);
  expect(total).toBe(expected.remaining);
  expect(writeUnits(subtractUnits(units(input.balance), units(total)))).toBe(expected.used);
});

oracle<
  { old_grant?: number; new_grant: number; used: number; carry: "usage" },
  { remaining: number }
>("balance.upgrade", ({ input, expected }) => {
  // The price-difference rule: the larger size, less what is already used of the smaller.
  const { total } = drain([grantOf({ id: "new", remaining: input.new_grant })], [input.used]);
  expect(total).toBe(text(expected.remaining));
});

oracle<
  { balances: { id: string; amount: number }[]; uses: number[] },
  { after: Record<string, number>[] }
>("balance.deduct_sequence", ({ input, expected }) => {
  const grants = input.balances.map((one) =>
    grantOf({
      id: one.id,
      remaining: one.amount,
      origin: one.id === "lifetime" ? "purchase" : "allowance",
    }),
  );
  for (const [index, after] of expected.after.entries()) {
    const { left } = drain(grants, input.uses.slice(0, index + 1));
    expect(left).toEqual(
      Object.fromEntries(Object.entries(after).map(([id, value]) => [id, text(value)])),
    );
  }
});

oracle<{ invoice: string; account_credit_at_least: string }, { credit_used: string; due: string }>(
  "credit.consume",
  ({ input, expected }) => {
    const { uses, due } = applyCredits(
      [{ id: "invoice", kind: "any", due: parseMoney(input.invoice, usd) }],
      [{ id: "credit", balance: parseMoney(input.account_credit_at_least, usd), covers: null }],
    );
    expect(`-${formatMoney(uses[0]?.amount ?? money(usd, 0n))}`).toBe(expected.credit_used);
    expect(due.get("invoice")).toEqual(parseMoney(expected.due, usd));
  },
);

oracle<
  { invoice_total: number; applied_balance: number },
  { amount_due_before: number; back_to_balance: number; refund: number }
>("credit_note.with_applied_balance_minor", ({ input, expected }) => {
  const minor = (value: number) => money(usd, BigInt(value));
  const { toBalance, refund } = splitReturn(
    minor(input.invoice_total),
    minor(input.applied_balance),
  );
  expect([Number(toBalance.minor), Number(refund.minor)]).toEqual([
    expected.back_to_balance,
    expected.refund,
  ]);
  expect(Number(refund.minor)).toBe(expected.amount_due_before);
});

oracle<
  { grants: { id: string; priority: number; expires: string | null; category: string }[] },
  { order: string[] }
>("credit_order", ({ input, expected }) => {
  const grants = input.grants.map((one) =>
    grantOf({
      id: one.id,
      priority: one.priority,
      expiresAt: one.expires ? instant(`${one.expires}T00:00:00Z`) : never,
      unitCost: decimal(one.category === "promotional" ? "0" : "1"),
    }),
  );
  expect(grants.toSorted(compareDrawOrder).map((one) => one.id)).toEqual(expected.order);
});

oracle<
  { blocks: { id: string; expires: string; balance: string }[]; decrement: string },
  { entries: { block: string; amount: string }[]; balance_after: string }
>("credit_drawdown_across_blocks", ({ input, expected }) => {
  const { pool, total } = drain(
    input.blocks.map((one) =>
      grantOf({
        id: one.id,
        remaining: units(one.balance),
        expiresAt: instant(`${one.expires}T00:00:00Z`),
      }),
    ),
    [units(input.decrement)],
  );
  expect(
    pool.parts.map((part) => ({ block: part.grant.id, amount: `-${writeUnits(part.quantity)}` })),
  ).toEqual(expected.entries);
  expect(total).toBe(expected.balance_after);
});

oracle<
  {
    base: string;
    features: { id: string; selected: string; included: string; price: string; per: string }[];
  },
  Record<string, string>
>("prepaid_package_plus_seats", ({ input, expected }) => {
  const amounts = input.features.map((one) => ({
    id: one.id,
    amount: beyond(one.selected, one.included, one.price, one.per),
  }));
  for (const { id, amount } of amounts)
    expect(formatMoney(toMoney(amount, usd))).toBe(expected[id]);
  const total = add(decimal(input.base), sumOf(amounts.map((one) => one.amount)));
  expect(formatMoney(toMoney(total, usd))).toBe(expected["total"]);
});

oracle<
  {
    prepaid_fee: string;
    tokens?: string;
    included?: string;
    overage_unit?: string;
    overage_price?: string;
    overage_per?: string;
    used: string;
  },
  { prepaid_rate?: string; overage: string; total: string }
>("prepaid_then_overage", ({ input, expected }) => {
  const included = input.tokens ?? input.included ?? "0";
  const preview = previewPurchase(
    {
      sku: "B",
      family: "f",
      unit: "units",
      units: units(included),
      price: parseMoney(input.prepaid_fee, usd),
      validityDays: null,
      overageUnitAmount: null,
    },
    1,
    early,
  );
  if (expected.prepaid_rate) expect(text(preview.unitCost)).toBe(expected.prepaid_rate);
  const overage = beyond(
    input.used,
    included,
    input.overage_unit ?? input.overage_price ?? "0",
    input.overage_per ?? 1,
  );
  expect(formatMoney(toMoney(overage, usd))).toBe(expected.overage);
  expect(formatMoney(toMoney(add(overage, decimal(input.prepaid_fee)), usd))).toBe(expected.total);
});

oracle<
  { annual_prepayment: string; unit_amount: string; month_usage: string },
  { consumed: string; remaining: string }
>("prepayment_drawdown", ({ input, expected }) => {
  const cost = multiply(decimal(input.unit_amount), decimal(input.month_usage));
  const { total } = drain(
    [grantOf({ id: "prepaid", remaining: units(input.annual_prepayment) })],
    [units(text(cost))],
  );
  expect(formatMoney(toMoney(decimal(total), usd))).toBe(expected.remaining);
  expect(formatMoney(toMoney(cost, usd))).toBe(expected.consumed);
});

oracle<
  { remaining: string; unit_amount: string; overage_surcharge_pct: string; month_usage: string },
  { covered: string; overage_base: string; surcharge: string; overage_total: string }
>("prepayment_overage", ({ input, expected }) => {
  const cost = multiply(decimal(input.unit_amount), decimal(input.month_usage));
  const { overage, pool } = drain(
    [grantOf({ id: "prepaid", remaining: units(input.remaining) })],
    [units(text(cost))],
  );
  const base = decimal(writeUnits(overage));
  const surcharge = divide(multiply(base, decimal(input.overage_surcharge_pct)), decimalOf(100));
  const written = (value: Decimal) => formatMoney(toMoney(value, usd));
  expect(
    [
      decimal(writeUnits(sumUnits(pool.parts.map((p) => p.quantity)))),
      base,
      surcharge,
      add(base, surcharge),
    ].map(written),
  ).toEqual([expected.covered, expected.overage_base, expected.surcharge, expected.overage_total]);
});

oracle<{ usage_amount: string; commitment: string }, { overage: string }>(
  "overage_vs_commit",
  ({ input, expected }) => {
    expect(formatMoney(toMoney(beyond(input.usage_amount, input.commitment, "1"), usd))).toBe(
      expected.overage,
    );
  },
);
