import { lateFeeOf, lateMonthOn } from "../domain/accounts/index.ts";
import { askableOf } from "../domain/disputes/index.ts";
import type { FixedCharge } from "../domain/invoicing/index.ts";
import { openOf } from "../domain/payments/index.ts";
import { formatDecimal, one } from "../kit/decimal.ts";
import { formatMoney, nothing, sumMoney, toDecimal } from "../kit/money.ts";
import { contains, type Period, shift, startOfDay } from "../kit/time.ts";
import { type FeeBearing, listFeeBearing } from "../store/payments.ts";
import type { ChargeSource } from "./charge-sources.ts";

/**
 * What late invoices put on the next one: a line for each month begun after the due date within the period, on what was open
 * and not under dispute when that month began. What settles an invoice counts from when it was recorded, so the fee follows from facts that never
 * change and is the same at any time.
 */
export const lateFees: ChargeSource = async (db, spans) => {
  const late = await listFeeBearing(
    db,
    spans.map((span) => ({ ...span, before: span.period.endsAt })),
  );
  return spans.map((span) => ({
    fixed: late
      .filter((invoice) => invoice.orgId === span.orgId && invoice.accountId === span.accountId)
      .flatMap((invoice) => feesOf(invoice, span.period)),
    covered: [],
  }));
};

function feesOf(invoice: FeeBearing, period: Period): FixedCharge[] {
  const charges: FixedCharge[] = [];
  for (let n = 0; ; n++) {
    const on = lateMonthOn(invoice.dueOn, n);
    const at = startOfDay(on, invoice.timeZone);
    if (at >= period.endsAt || (invoice.endedAt !== null && invoice.endedAt < at)) return charges;
    const settled = invoice.settled.filter((part) => part.at < at).map((part) => part.amount);
    const { currency } = invoice.total;
    const unsettled = openOf(invoice.total, sumMoney(currency, settled), nothing(currency));
    if (unsettled.minor === 0n) return charges;
    const disputed = invoice.withheld
      .filter((one) => one.from < at && (one.until === null || one.until >= at))
      .map((one) => one.amount);
    const open = askableOf(unsettled, sumMoney(currency, disputed));
    if (!contains(period, at) || open.minor === 0n) continue;
    const fee = toDecimal(lateFeeOf(open, invoice));
    charges.push({
      cause: `late-fee:${invoice.invoiceId}:${n + 1}`,
      usageType: "one_time",
      skuCode: "LATE-FEE",
      description: `Late fee: ${invoice.number}, month ${n + 1}`,
      quantity: one,
      unit: "month",
      unitAmount: fee,
      amount: fee,
      period: { startsAt: at, endsAt: shift(at, 1) },
      because: `${formatDecimal(invoice.percentPerMonth)}% of ${formatMoney(open)} open on ${on}, due ${invoice.dueOn}`,
    });
  }
}
