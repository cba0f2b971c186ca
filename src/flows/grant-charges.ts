import { decimalOfUnits, type Units } from "../domain/grants/index.ts";
import type { Coverage, FixedCharge } from "../domain/invoicing/index.ts";
import { decimal, formatDecimal, negate } from "../kit/decimal.ts";
import { toDecimal } from "../kit/money.ts";
import { dayAt, type Instant, minute, type Period, shift } from "../kit/time.ts";
import { listCoverage, listUsageSkus } from "../store/grants.ts";
import { listSettledPurchases, type Purchase } from "../store/purchases.ts";
import type { ChargeSource } from "./charge-sources.ts";

const quarter = 15 * minute;

/** What batches put on an invoice: the purchases of the period, and the usage that is paid for already. */
export const grantCharges: ChargeSource = async (db, spans) => {
  const asked = spans.map((span) => ({
    orgId: span.orgId,
    accountId: span.accountId,
    startsAt: span.period.startsAt,
    endsAt: span.period.endsAt,
    untilSeq: span.untilSeq,
  }));
  const [purchases, coverage, skus] = await Promise.all([
    listSettledPurchases(db, asked),
    listCoverage(db, asked),
    listUsageSkus(db),
  ]);
  return spans.map((_, index) => ({
    fixed: purchases.filter((one) => one.span === index).flatMap(chargesOf),
    covered: coverage
      .filter((one) => one.span === index)
      .flatMap((one) => (skus.get(one.pool) ?? []).map((sku) => coverageOf(sku, one))),
  }));
};

const coverageOf = (skuCode: string, part: { bucketAt: Instant; quantity: Units }): Coverage => ({
  skuCode,
  slice: { startsAt: part.bucketAt, endsAt: shift(part.bucketAt, quarter) },
  quantity: decimalOfUnits(part.quantity),
});

/** A purchase is a line of its own; what was paid at once stands beside it, so that nothing of it is due. */
function chargesOf(purchase: Purchase): FixedCharge[] {
  const at = purchase.settledAt as Instant;
  const period: Period = { startsAt: at, endsAt: shift(at, 1) };
  const amount = toDecimal(purchase.total);
  const line: FixedCharge = {
    cause: `purchase:${purchase.id}`,
    usageType: "prepaid",
    skuCode: purchase.sku,
    description: `${purchase.detail.units} ${purchase.detail.unit}, prepaid`,
    quantity: decimal(String(purchase.count)),
    unit: "batch",
    unitAmount: amount.dividedBy(purchase.count),
    amount,
    period,
    because: `bought on ${dayAt(at, "UTC")}: ${purchase.count} × ${purchase.sku}, ${purchase.detail.added} units at ${purchase.detail.unitCost}`,
  };
  if (purchase.status !== "paid") return [line];
  const paid: FixedCharge = {
    ...line,
    cause: `payment:${purchase.id}`,
    usageType: "credit",
    description: `paid ${dayAt(at, "UTC")}`,
    quantity: decimal("1"),
    unit: "payment",
    unitAmount: negate(amount),
    amount: negate(amount),
    because: `${formatDecimal(amount)} ${purchase.total.currency} were paid by card at the time of purchase`,
  };
  return [line, paid];
}
