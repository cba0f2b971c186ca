import type { Currency } from "../../kit/currency.ts";
import type { Catalog } from "./catalog.ts";
import type { Meter } from "./meter.ts";
import type { PlanUsage } from "./plan.ts";
import { readPrice, writePrice } from "./price-document.ts";

export type PlanPriceObjection = { readonly member: string; readonly detail: string };

/**
 * What is wrong with the usage prices that a plan carries itself: they would bill a meter twice, never, or in a currency in
 * which nobody can hold the plan. `currencies` are those of the plan's fees; none when the price book decides about them.
 */
export function usagePriceFaults(
  usage: PlanUsage,
  meterKey: string,
  currencies: ReadonlySet<Currency>,
  catalog: Catalog,
  meter: Meter | undefined,
): PlanPriceObjection[] {
  if (usage.prices.length === 0) return [];
  const faults: PlanPriceObjection[] = [];
  const fault = (member: string, detail: string) => void faults.push({ member, detail });
  if (usage.beyond === "block")
    fault(
      "",
      `usage of ${usage.sku} beyond the plan is refused (beyond: block): its price never bills`,
    );
  const sold = new Set<Currency>();
  usage.prices.forEach((price, i) => {
    const at = `/${i}`;
    if (sold.has(price.currency))
      fault(
        `${at}/currency`,
        `two prices on one meter: ${usage.sku} has another price in ${price.currency} in the same plan`,
      );
    sold.add(price.currency);
    if (currencies.size > 0 && !currencies.has(price.currency))
      fault(
        `${at}/currency`,
        `no fee of the plan is in ${price.currency}: nobody who pays in it can hold the plan`,
      );
    const rival = rivalOn(meterKey, usage.sku, price.currency, catalog);
    if (rival !== undefined)
      fault(
        at,
        `two prices on one meter: ${usage.sku} of this plan and ${rival} would both bill meter ${meterKey}`,
      );
    const read = readPrice(writePrice(price), meter ? { dimensions: meter.dimensions } : {});
    if ("faults" in read) for (const one of read.faults) fault(`${at}${one.pointer}`, one.detail);
  });
  for (const code of currencies)
    if (!sold.has(code))
      fault("", `${usage.sku} has no price in ${code}, in which the fees of the plan are sold`);
  return faults;
}

/** Another SKU that some book or plan sells on the same meter in the same currency: a subscriber would pay both. */
function rivalOn(
  meterKey: string,
  skuCode: string,
  currency: Currency,
  catalog: Catalog,
): string | undefined {
  const others = catalog.skus.filter(
    (sku) => sku.kind === "usage" && sku.meter === meterKey && sku.code !== skuCode,
  );
  const isIn = (code: Currency) => code === currency;
  for (const { code } of others) {
    const priced = catalog.prices.find((one) => one.sku === code && isIn(one.price.currency));
    if (priced !== undefined) return `${code} of book ${priced.book}`;
    const plan = catalog.plans.find((one) =>
      one.versions.some((version) =>
        version.usage.some(
          (usage) => usage.sku === code && usage.prices.some((price) => isIn(price.currency)),
        ),
      ),
    );
    if (plan !== undefined) return `${code} of plan ${plan.key}`;
  }
  return undefined;
}
