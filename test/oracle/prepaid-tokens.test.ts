import { expect } from "vitest";
import {
  decimalOfUnits,
  drawFrom,
  never,
  openPool,
  priorityDefault,
  readUnits,
} from "../../src/domain/grants/index.ts";
import { valueBetween } from "../../src/domain/revenue/index.ts";
import { currency } from "../../src/kit/currency.ts";
import { decimal, formatDecimal, multiply, zero } from "../../src/kit/decimal.ts";
import type { GrantId } from "../../src/kit/ids.ts";
import { formatMoney, type Money, toMoney } from "../../src/kit/money.ts";
import { instant } from "../../src/kit/time.ts";
import { oracle } from "./cases.ts";
import { of, rated } from "./prices.ts";

// What the field calls a virtual currency is a batch here: units paid for in advance, earned as they are drawn.
const usd = currency("USD");
const now = instant("2025-04-01T00:00:00Z");
const plain = (amount: Money): string => formatDecimal(decimal(formatMoney(amount)));
const costOf = (unit_amount: string, quantity: string): string =>
  formatDecimal(rated({ model: "per_unit", unit_amount }, of(quantity)).unrounded);

type Row = {
  readonly ListCost: string;
  readonly ContractedCost: string;
  readonly BilledCost: string;
  readonly EffectiveCost: string;
};
type Sku = {
  readonly units: string;
  readonly tokens_per_unit?: string;
  readonly tokens_per_unit_list?: string;
  readonly tokens_per_unit_contracted?: string;
};

function batchOf(tokens: string, perToken: string) {
  const size = decimal(tokens);
  const paid = toMoney(multiply(size, decimal(perToken)), usd);
  const pool = openPool([
    {
      id: "grt_tokens" as GrantId,
      origin: "purchase",
      priority: priorityDefault,
      validFrom: now,
      expiresAt: never,
      unitCost: decimal(perToken),
      createdAt: now,
      remaining: readUnits(tokens),
      expired: 0,
    },
  ]);
  let gone = zero;
  let seq = 0;
  return {
    paid,
    /** What drawing so many tokens earns. */
    draw(wanted: string): { earned: Money; overage: string } {
      const request = { quantity: readUnits(wanted), at: now, periodOpen: true };
      const overage = drawFrom(pool, request, ++seq);
      const before = gone;
      gone = size.minus(decimalOfUnits(pool.remaining[0] ?? 0));
      return {
        earned: valueBetween(paid, size, before, gone),
        overage: formatDecimal(decimalOfUnits(overage)),
      };
    },
  };
}

oracle<
  { tokens: string; list_per_token: string; contracted_per_token: string },
  { focus_rows: [Row] }
>("virtual_currency_purchase", ({ input, expected: { focus_rows } }) => {
  const batch = batchOf(input.tokens, input.contracted_per_token);
  const [row] = focus_rows;
  expect(costOf(input.list_per_token, input.tokens)).toBe(row.ListCost);
  expect(plain(batch.paid)).toBe(row.BilledCost);
  expect(plain(batch.draw("0").earned)).toBe(row.EffectiveCost);
});

function consumption({
  input,
  expected,
}: {
  input: { usd_per_token_contracted: string; usd_per_token_list: string; skus: readonly Sku[] };
  expected: { focus_rows: readonly Row[] };
}) {
  const batch = batchOf("1000", input.usd_per_token_contracted);
  // The rows of SKUs that a case does not repeat in its input stand before those it does.
  const rows = expected.focus_rows.slice(-input.skus.length);
  for (const [index, sku] of input.skus.entries()) {
    const row = rows[index] as Row;
    const listTokens = sku.tokens_per_unit_list ?? sku.tokens_per_unit ?? "";
    const tokens = costOf(sku.tokens_per_unit_contracted ?? sku.tokens_per_unit ?? "", sku.units);
    expect(costOf(input.usd_per_token_list, costOf(listTokens, sku.units))).toBe(row.ListCost);
    expect(costOf(input.usd_per_token_contracted, tokens)).toBe(row.ContractedCost);
    const { earned, overage } = batch.draw(tokens);
    expect(plain(earned)).toBe(row.EffectiveCost);
    expect(overage).toBe(row.BilledCost);
  }
}
oracle("virtual_currency_consumption", consumption);
oracle("virtual_currency_consumption_negotiated_burn", consumption);

oracle<
  { overage_tokens: string; new_block: string; usd_per_token: string },
  { focus_rows: [Row, Row] }
>("virtual_currency_overage_and_renewal", ({ input, expected: { focus_rows } }) => {
  // Beyond an empty batch everything is overage, at its price; the new block is bought and not yet earned.
  const empty = batchOf("1", input.usd_per_token);
  empty.draw("1");
  const { overage } = empty.draw(input.overage_tokens);
  expect(costOf(input.usd_per_token, overage)).toBe(focus_rows[0].BilledCost);
  const block = batchOf(input.new_block, input.usd_per_token);
  expect(plain(block.paid)).toBe(focus_rows[1].BilledCost);
  expect(plain(block.draw("0").earned)).toBe(focus_rows[1].EffectiveCost);
});

oracle<
  {
    purchase_normalised_units: string;
    purchase_cost: string;
    resource_units: string;
    list_per_hour: string;
  },
  { covered_effective: string; uncovered_on_demand: string }
>("commitment_normalised_partial", ({ input, expected }) => {
  const batch = batchOf(input.purchase_normalised_units, input.purchase_cost);
  const { earned, overage } = batch.draw(input.resource_units);
  expect(formatMoney(earned)).toBe(expected.covered_effective);
  const perUnit = decimal(input.list_per_hour).div(input.resource_units);
  expect(costOf(formatDecimal(perUnit), overage)).toBe(expected.uncovered_on_demand);
});
