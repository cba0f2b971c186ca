import { isCurrency, type Currency } from "../../kit/currency.ts";
import { type Decimal, zero } from "../../kit/decimal.ts";
import {
  cadences,
  type Fee,
  type Plan,
  type PlanQuota,
  type PlanUsage,
  type PlanVersion,
  prorationUnits,
  quotaWindows,
} from "./plan.ts";
import { readPrice } from "./price-document.ts";
import type { Price } from "./price.ts";
import type { ObjectReader } from "./price-reader.ts";
import { identifier, line, needed, readFrom, skuCode } from "./read-words.ts";

/** Read a plan with all its versions. */
export function readPlan(item: ObjectReader): Plan {
  item.only("a plan", [
    "key",
    "name",
    "description",
    "kind",
    "product_line",
    "price_on_request",
    "restricted",
    "default",
    "versions",
  ]);
  const key = needed(item, "key", identifier(item, "key"));
  if (!item.has("versions")) item.fault("versions", "a plan has at least one version");
  const versions = item.has("versions") ? (item.list("versions") ?? []).map(readVersion) : [];
  return {
    key,
    name: line(item, "name") ?? key,
    description: line(item, "description") ?? "",
    kind: item.choice("kind", ["plan", "add_on"]) ?? "plan",
    productLine: identifier(item, "product_line") ?? "default",
    priceOnRequest: item.flag("price_on_request") ?? false,
    restricted: item.flag("restricted") ?? false,
    isDefault: item.flag("default") ?? false,
    versions,
  };
}

function readVersion(item: ObjectReader): PlanVersion {
  item.only("a plan version", [
    "version",
    "status",
    "effective_from",
    "cadence",
    "fees",
    "usage",
    "quotas",
    "features",
    "trial_days",
    "proration",
    "credit_unused",
  ]);
  return {
    version: wholeNumber(item, "version", 1, 1),
    status: item.choice("status", ["draft", "published"]) ?? "published",
    effectiveFrom: readFrom(item),
    cadence: item.choice("cadence", cadences) ?? "month",
    fees: listOf(item, "fees", readFee),
    usage: listOf(item, "usage", readUsage),
    quotas: listOf(item, "quotas", readQuota),
    features: readFeatures(item),
    trialDays: wholeNumber(item, "trial_days", 0, 0),
    proration: {
      unit: item.choice("proration", prorationUnits) ?? "second",
      creditUnused: item.flag("credit_unused") ?? true,
    },
  };
}

const listOf = <T>(item: ObjectReader, member: string, read: (one: ObjectReader) => T): T[] =>
  item.has(member) ? (item.list(member) ?? []).map(read) : [];

function wholeNumber(item: ObjectReader, member: string, otherwise: number, least: number): number {
  const value = item.units(member, "not_negative");
  if (value === undefined) return otherwise;
  if (value.isInteger() && value.greaterThanOrEqualTo(least) && value.lessThan(100_000))
    return value.toNumber();
  item.fault(member, `${member} is a whole number from ${least} on`);
  return otherwise;
}

function readFee(item: ObjectReader): Fee {
  item.only("a fee", ["sku", "kind", "amounts", "timing", "per", "included_units", "once"]);
  const kind = item.choice("kind", ["recurring", "one_time"]) ?? "recurring";
  if (item.has("once") && kind !== "one_time")
    item.fault("once", "only a one_time fee is charged once");
  return {
    sku: needed(item, "sku", skuCode(item, "sku")),
    kind,
    amounts: readAmounts(item),
    timing: item.choice("timing", ["in_advance", "in_arrears"]) ?? "in_advance",
    per: item.choice("per", ["subscription", "unit"]) ?? "subscription",
    includedUnits: item.units("included_units", "not_negative") ?? zero,
    once: item.choice("once", ["subscription", "account"]) ?? "subscription",
  };
}

/** One amount for each currency the plan is sold in. */
function readAmounts(item: ObjectReader): ReadonlyMap<Currency, Decimal> {
  const amounts = new Map<Currency, Decimal>();
  if (!item.has("amounts")) return amounts;
  const reader = item.object("amounts");
  for (const code of Object.keys((item.raw("amounts") ?? {}) as object)) {
    if (!isCurrency(code)) {
      reader?.fault(code, `${code} is not an ISO 4217 currency code in use`);
      continue;
    }
    const amount = reader?.amount(code, "not_negative");
    if (amount) amounts.set(code, amount);
  }
  return amounts;
}

function readUsage(item: ObjectReader): PlanUsage {
  item.only("usage in a plan", ["sku", "included", "included_level", "beyond", "prices"]);
  return {
    sku: needed(item, "sku", skuCode(item, "sku")),
    included: item.units("included", "not_negative") ?? zero,
    includedLevel: item.units("included_level", "not_negative") ?? zero,
    beyond: item.choice("beyond", ["charge", "block"]) ?? "charge",
    prices: readPrices(item),
  };
}

function readPrices(item: ObjectReader): Price[] {
  const documents = item.has("prices") ? item.raw("prices") : [];
  if (!Array.isArray(documents)) {
    item.fault("prices", "prices is a list of prices, one for each currency");
    return [];
  }
  return documents.flatMap((document: unknown, i) => {
    const read = readPrice(document);
    if ("price" in read) return [read.price];
    item.faultsIn(`prices/${i}`, read.faults);
    return [];
  });
}

function readQuota(item: ObjectReader): PlanQuota {
  item.only("a quota", ["key", "limit", "window", "enforcement"]);
  const limit = item.units("limit", "not_negative");
  if (!item.has("limit")) item.fault("limit", "a quota has a limit");
  return {
    key: needed(item, "key", identifier(item, "key")),
    limit: limit ?? zero,
    window: item.choice("window", quotaWindows) ?? "none",
    enforcement: item.choice("enforcement", ["hard", "soft"]) ?? "hard",
  };
}

function readFeatures(item: ObjectReader): string[] {
  const features = item.texts("features") ?? [];
  for (const feature of features)
    if (!/^[a-z][a-z0-9_.-]{0,62}$/.test(feature))
      item.fault("features", `"${feature}" is no feature key: write lower case letters and digits`);
  return features;
}
