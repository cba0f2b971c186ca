import { formatDecimal, isZero } from "../../kit/decimal.ts";
import { formatInstant } from "../../kit/time.ts";
import type { BookPrice, Catalog, PriceBook, Sku } from "./catalog.ts";
import type { Meter } from "./meter.ts";
import type { Plan, PlanVersion } from "./plan.ts";
import { usagePriceFaults } from "./plan-price-soundness.ts";
import { readPrice, writePrice } from "./price-document.ts";
import { batchWarnings } from "./price-warnings.ts";
import { priceInForce } from "./resolve.ts";

/** Something that is wrong with a thing when the whole catalog is looked at; `member` is a pointer within it. */
export type CatalogObjection = {
  readonly at: object;
  readonly member: string;
  readonly detail: string;
};

/** All that would bill twice, never, or something else than meant. Empty when the catalog may be published. */
export function catalogFaults(catalog: Catalog): CatalogObjection[] {
  const index = indexOf(catalog);
  return [
    ...duplicates(catalog.services, (one) => one.key, "/key", "service"),
    ...duplicates(catalog.meters, (one) => one.key, "/key", "meter"),
    ...duplicates(catalog.skus, (one) => one.code, "/code", "SKU"),
    ...duplicates(catalog.books, (one) => one.code, "/code", "price book"),
    ...duplicates(catalog.plans, (one) => one.key, "/key", "plan"),
    ...duplicates(catalog.prices, priceName, "/effective_from", "price"),
    ...catalog.skus.flatMap((sku) => skuFaults(sku, catalog, index)),
    ...catalog.books.flatMap((book) => bookFaults(book, index)),
    ...catalog.prices.flatMap((price) => priceFaults(price, index)),
    ...catalog.books.flatMap((book) => doubleBilling(book, catalog)),
    ...catalog.skus.flatMap((sku) => batchFaults(sku, catalog, index)),
    ...catalog.plans.flatMap((plan) => planFaults(plan, catalog, index)),
    ...catalog.assignments.flatMap((one) =>
      (one.kind === "sku" ? index.skus : index.plans).has(one.key)
        ? []
        : [{ at: one, member: `/${one.kind}`, detail: `there is no ${one.kind} ${one.key}` }],
    ),
  ];
}

type Index = {
  readonly services: ReadonlySet<string>;
  readonly meters: ReadonlyMap<string, Meter>;
  readonly skus: ReadonlyMap<string, Sku>;
  readonly books: ReadonlyMap<string, PriceBook>;
  readonly plans: ReadonlyMap<string, Plan>;
};

const indexOf = (catalog: Catalog): Index => ({
  services: new Set(catalog.services.map((one) => one.key)),
  meters: new Map(catalog.meters.map((one) => [one.key, one])),
  skus: new Map(catalog.skus.map((one) => [one.code, one])),
  books: new Map(catalog.books.map((one) => [one.code, one])),
  plans: new Map(catalog.plans.map((one) => [one.key, one])),
});

export const priceName = (price: BookPrice): string =>
  `${price.book} ${price.sku} from ${formatInstant(price.effectiveFrom)}`;

function duplicates<T extends object>(
  list: readonly T[],
  nameOf: (one: T) => string,
  member: string,
  what: string,
): CatalogObjection[] {
  const seen = new Set<string>();
  return list.flatMap((one) => {
    const name = nameOf(one);
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    return [{ at: one, member, detail: `${what} ${name} is written twice` }];
  });
}

function skuFaults(sku: Sku, catalog: Catalog, index: Index): CatalogObjection[] {
  const faults: CatalogObjection[] = [];
  const fault = (member: string, detail: string) => void faults.push({ at: sku, member, detail });
  if (sku.service !== null && !index.services.has(sku.service))
    fault("/service", `there is no service ${sku.service}`);
  const meter = sku.meter === null ? undefined : index.meters.get(sku.meter);
  if (sku.meter !== null && meter === undefined) fault("/meter", `there is no meter ${sku.meter}`);
  if (meter?.status === "draft" && sku.status === "published")
    fault("/status", `the meter ${meter.key} is a draft: publish it first, or with the SKU`);
  if (sku.status !== "published") return faults;
  const sold = catalog.prices.some((price) => price.sku === sku.code);
  const inPlan = catalog.plans.some((plan) =>
    plan.versions.some(
      (version) =>
        version.fees.some((fee) => fee.sku === sku.code) ||
        version.usage.some((usage) => usage.sku === sku.code && usage.prices.length > 0),
    ),
  );
  if (!sold && !inPlan)
    fault("/code", `${sku.code} is published but has no price in any book or plan: it never bills`);
  if (sku.kind === "batch" && meter !== undefined) {
    const overage = catalog.skus.find(
      (other) =>
        other.kind === "usage" && other.meter === sku.meter && other.status === "published",
    );
    const priced = overage && catalog.prices.some((price) => price.sku === overage.code);
    if (!priced)
      fault(
        "/meter",
        `the batch ${sku.code} has no overage price: publish a usage SKU on meter ${sku.meter} with a price for what goes beyond the batch`,
      );
  }
  return faults;
}

function bookFaults(book: PriceBook, index: Index): CatalogObjection[] {
  const parent = book.parent === null ? undefined : index.books.get(book.parent);
  const at = { at: book, member: "/parent" };
  if (book.parent === null) return [];
  if (parent === undefined) return [{ ...at, detail: `there is no price book ${book.parent}` }];
  if (parent.currency !== book.currency)
    return [
      {
        ...at,
        detail: `${book.code} is in ${book.currency}, its parent ${parent.code} in ${parent.currency}: prices are never converted silently`,
      },
    ];
  for (let seen = new Set([book.code]), next: PriceBook | undefined = parent; next; ) {
    if (seen.has(next.code))
      return [{ ...at, detail: `${book.code} comes back to itself through its parents` }];
    seen.add(next.code);
    next = next.parent === null ? undefined : index.books.get(next.parent);
  }
  return [];
}

function priceFaults(entry: BookPrice, index: Index): CatalogObjection[] {
  const faults: CatalogObjection[] = [];
  const fault = (member: string, detail: string) => void faults.push({ at: entry, member, detail });
  const book = index.books.get(entry.book);
  const sku = index.skus.get(entry.sku);
  if (book === undefined) fault("/book", `there is no price book ${entry.book}`);
  if (sku === undefined) fault("/sku", `there is no SKU ${entry.sku}`);
  if (book === undefined || sku === undefined) return faults;
  const { price } = entry;
  if (sku.kind !== "usage" && price.model !== "flat_fee" && price.model !== "per_unit")
    fault("/model", `a ${sku.kind} SKU costs a flat_fee or per_unit, not ${price.model}`);
  const meter = sku.meter === null ? undefined : index.meters.get(sku.meter);
  const read = readPrice(writePrice(price), {
    currency: book.currency,
    ...(meter ? { dimensions: meter.dimensions } : {}),
  });
  if ("faults" in read) for (const one of read.faults) fault(one.pointer, one.detail);
  return faults;
}

/** Two usage SKUs on one meter, both priced for the same buyers, would each bill the same usage. */
function doubleBilling(book: PriceBook, catalog: Catalog): CatalogObjection[] {
  const chain = new Set(chainOf(book, catalog));
  const bySku = new Map<string, BookPrice>();
  for (const price of catalog.prices) if (chain.has(price.book)) bySku.set(price.sku, price);
  const onMeter = new Map<string, string>();
  return catalog.skus.flatMap((sku) => {
    const price = bySku.get(sku.code);
    if (sku.kind !== "usage" || sku.meter === null || price === undefined) return [];
    const other = onMeter.get(sku.meter);
    onMeter.set(sku.meter, sku.code);
    if (other === undefined) return [];
    return [
      {
        at: price,
        member: "/sku",
        detail: `buyers from ${book.code} would pay for meter ${sku.meter} twice: by ${other} and by ${sku.code}`,
      },
    ];
  });
}

function chainOf(book: PriceBook, catalog: Catalog): string[] {
  const chain: string[] = [];
  const find = (code: string | null) => catalog.books.find((one) => one.code === code);
  for (let next: PriceBook | undefined = book; next && !chain.includes(next.code); ) {
    chain.push(next.code);
    next = find(next.parent);
  }
  return chain;
}

/** A batch unit that is not cheaper than overage is a trap; the author may confirm that it is meant. */
function batchFaults(sku: Sku, catalog: Catalog, index: Index): CatalogObjection[] {
  const { batch } = sku;
  if (sku.kind !== "batch" || batch === null) return [];
  const overage = catalog.skus.find((one) => one.kind === "usage" && one.meter === sku.meter);
  return catalog.prices
    .filter((entry) => entry.sku === sku.code && !entry.confirms.includes("batch_not_cheaper"))
    .flatMap((entry) => {
      const book = index.books.get(entry.book);
      if (overage === undefined || book === undefined || entry.price.model !== "flat_fee")
        return [];
      const found = priceInForce(catalog, entry.book, overage.code, entry.effectiveFrom)?.entry;
      if (found?.price.model !== "per_unit") return [];
      const [warning] = batchWarnings(
        { units: batch.units, amount: entry.price.amount },
        unitAmountOf(found),
        book.currency,
      );
      if (warning === undefined) return [];
      const detail = `${warning.detail}; if that is meant, add confirm: [batch_not_cheaper]`;
      return [{ at: entry, member: warning.pointer, detail }];
    });
}

/** What one metered unit costs: per-unit prices may quote 1,000 at a time. */
function unitAmountOf(entry: BookPrice) {
  const { price } = entry;
  if (price.model !== "per_unit") throw new RangeError(`${priceName(entry)} is not per unit`);
  const { conversion } = price;
  if (!conversion) return price.unitAmount;
  return conversion.operation === "divide"
    ? price.unitAmount.dividedBy(conversion.factor)
    : price.unitAmount.times(conversion.factor);
}

function planFaults(plan: Plan, catalog: Catalog, index: Index): CatalogObjection[] {
  const seen = new Set<number>();
  const rival = catalog.plans.find(
    (other) => other.isDefault && plan.isDefault && other.productLine === plan.productLine,
  );
  if (rival !== undefined && rival !== plan)
    return [
      {
        at: plan,
        member: "/default",
        detail: `${rival.key} is the default of product line ${plan.productLine} already: new accounts get one`,
      },
    ];
  return plan.versions.flatMap((version, i) => {
    const faults = versionFaults(plan, version, catalog, index);
    if (seen.has(version.version))
      faults.push({ member: "/version", detail: `version ${version.version} is written twice` });
    seen.add(version.version);
    return faults.map(({ member, detail }) => ({
      at: plan,
      member: `/versions/${i}${member}`,
      detail: `${plan.key}@${version.version}: ${detail}`,
    }));
  });
}

function versionFaults(plan: Plan, version: PlanVersion, catalog: Catalog, index: Index) {
  const faults: { member: string; detail: string }[] = [];
  const fault = (member: string, detail: string) => void faults.push({ member, detail });
  const currencies = new Set(version.fees.flatMap((fee) => [...fee.amounts.keys()]));

  version.fees.forEach((fee, i) => {
    const sku = index.skus.get(fee.sku);
    const at = `/fees/${i}`;
    if (sku === undefined) fault(`${at}/sku`, `there is no SKU ${fee.sku}`);
    else if (sku.kind === "usage" || sku.kind === "batch")
      fault(
        `${at}/sku`,
        `${fee.sku} is a ${sku.kind} SKU: a fee needs a recurring, one_time or feature SKU`,
      );
    if (version.fees.findIndex((other) => other.sku === fee.sku) < i)
      fault(`${at}/sku`, `${fee.sku} is charged twice in the same plan`);
    const priced = catalog.prices.some((price) => price.sku === fee.sku);
    if (fee.amounts.size === 0 && !priced && !plan.priceOnRequest)
      fault(
        `${at}/amounts`,
        `${fee.sku} has no amount here and no price in any book: it never bills`,
      );
    for (const code of currencies)
      if (fee.amounts.size > 0 && !fee.amounts.has(code))
        fault(
          `${at}/amounts`,
          `${fee.sku} has no amount in ${code}, in which other fees of the plan are sold`,
        );
  });

  const byMeter = new Map<string, string>();
  version.usage.forEach((usage, i) => {
    const sku = index.skus.get(usage.sku);
    const at = `/usage/${i}/sku`;
    if (sku === undefined) {
      fault(at, `there is no SKU ${usage.sku}`);
      return;
    }
    if (sku.kind !== "usage" || sku.meter === null) {
      fault(at, `${usage.sku} is a ${sku.kind} SKU: only usage SKUs have an included quantity`);
      return;
    }
    const other = byMeter.get(sku.meter);
    if (other !== undefined)
      fault(
        at,
        `two prices on one meter: ${other} and ${usage.sku} would both bill meter ${sku.meter}`,
      );
    byMeter.set(sku.meter, usage.sku);
    const batch = catalog.skus.find((one) => one.kind === "batch" && one.meter === sku.meter);
    if (batch !== undefined && !isZero(usage.included))
      fault(
        `/usage/${i}/included`,
        `the batch ${batch.code} covers meter ${sku.meter} too: the same usage would be covered twice`,
      );
    const meter = index.meters.get(sku.meter);
    if (!isZero(usage.includedLevel) && meter?.aggregation !== "weighted_sum")
      fault(
        `/usage/${i}/included_level`,
        `meter ${sku.meter} is not level × time (weighted_sum): say how many units are included`,
      );
    const isPriced =
      usage.prices.length > 0 || catalog.prices.some((price) => price.sku === usage.sku);
    if (usage.beyond === "charge" && !isPriced)
      fault(
        at,
        `${usage.sku} has no price here and none in any book: usage beyond the plan never bills`,
      );
    for (const one of usagePriceFaults(usage, sku.meter, currencies, catalog, meter))
      fault(`/usage/${i}/prices${one.member}`, one.detail);
  });

  const keys = version.quotas.map((quota) => quota.key);
  keys.forEach((key, i) => {
    if (keys.indexOf(key) < i) fault(`/quotas/${i}/key`, `quota ${key} is written twice`);
  });
  if (plan.kind === "plan" && neverBills(version) && !plan.priceOnRequest && !isFree(version))
    fault(
      "",
      'this plan never bills: it has neither a fee nor usage; say amounts of "0" if it is free',
    );
  return faults;
}

const neverBills = (version: PlanVersion): boolean =>
  version.fees.length === 0 && version.usage.every((usage) => usage.beyond === "block");
const isFree = (version: PlanVersion): boolean =>
  version.fees.length > 0 &&
  version.fees.every((fee) =>
    [...fee.amounts.values()].every((amount) => formatDecimal(amount) === "0"),
  );
