import { canonicalJson } from "../../kit/canonical-json.ts";
import { formatInstant, type Instant, instant } from "../../kit/time.ts";
import { type Catalog, lifecycle } from "./catalog.ts";
import { changeMeter } from "./meter.ts";
import { type CatalogItem, type ItemKind, itemsOf } from "./write-catalog.ts";

export type FieldChange = {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
};

/** One thing that applying a catalog would do, or refuses to do. */
export type CatalogStep = {
  readonly kind: ItemKind;
  readonly name: string;
} & (
  | { readonly act: "add"; readonly document: CatalogItem["document"] }
  | {
      readonly act: "change";
      readonly document: CatalogItem["document"];
      readonly fields: readonly FieldChange[];
    }
  | { readonly act: "remove" }
  | { readonly act: "refuse"; readonly why: string; readonly fields: readonly FieldChange[] }
  /** It is in force and not in the files. What was published cannot be taken back, so it stays. */
  | { readonly act: "keep" }
);

export type CatalogDiff = { readonly steps: readonly CatalogStep[] };

/**
 * What has to happen so that the catalog becomes the wanted one: the plan that people read, and that `apply` carries out.
 * Published prices and plan versions never change, states only go forward, new prices do not reach into the past.
 */
export function diffCatalogs(current: Catalog, wanted: Catalog, now: Instant): CatalogDiff {
  const before = new Map(itemsOf(current).map((item) => [keyOf(item), item]));
  const after = new Map(itemsOf(wanted).map((item) => [keyOf(item), item]));
  const steps: CatalogStep[] = [];
  for (const [key, item] of after) {
    const old = before.get(key);
    if (old === undefined) steps.push(adding(item, current, now));
    else if (canonicalJson(old.document) !== canonicalJson(item.document))
      steps.push(changing(old, item, current, wanted));
  }
  for (const [key, { kind, name }] of before)
    if (!after.has(key)) steps.push({ kind, name, act: kind === "assignment" ? "remove" : "keep" });
  return { steps };
}

/** Whether applying would do nothing: the files and the catalog agree on everything the files name. */
export const isSettled = (diff: CatalogDiff): boolean =>
  diff.steps.every((step) => step.act === "keep");

export const refusalsIn = (diff: CatalogDiff) =>
  diff.steps.flatMap((step) => (step.act === "refuse" ? [step] : []));

const keyOf = (item: CatalogItem): string => `${item.kind} ${item.name}`;

function adding(item: CatalogItem, current: Catalog, now: Instant): CatalogStep {
  const { kind, name, document } = item;
  const refuse = (why: string): CatalogStep => ({ kind, name, act: "refuse", why, fields: [] });
  const from = document["effective_from"];
  if (kind === "price") {
    const known = current.prices.filter(
      (price) => price.book === document["book"] && price.sku === document["sku"],
    );
    const what = `${String(document["sku"])} in ${String(document["book"])}`;
    const latest = Math.max(...known.map((price) => price.effectiveFrom));
    if (known.length > 0 && startOf(from) < now)
      return refuse(
        `${what} already has a price: a new one cannot begin in the past, give it an effective_from after ${formatInstant(now)}`,
      );
    if (known.length > 0 && startOf(from) <= latest)
      return refuse(
        `${what} has a published price from ${formatInstant(latest as Instant)}: the new one must begin later`,
      );
  }
  if (kind === "plan_version") {
    const plan = current.plans.find((one) => one.key === document["plan"]);
    const newest = Math.max(0, ...(plan?.versions.map((version) => version.version) ?? []));
    if (plan && Number(document["version"]) <= newest)
      return refuse(`versions only go forward: the newest of ${plan.key} is ${newest}`);
    if (newest > 0 && document["status"] === "published" && startOf(from) < now)
      return refuse(
        `a new version cannot begin in the past: give it an effective_from after ${formatInstant(now)}`,
      );
  }
  return { kind, name, act: "add", document };
}

function changing(
  old: CatalogItem,
  item: CatalogItem,
  current: Catalog,
  wanted: Catalog,
): CatalogStep {
  const { kind, name, document } = item;
  const fields = fieldChanges(old.document, document);
  const why = refusal(old, item, fields, current, wanted);
  return why === undefined
    ? { kind, name, act: "change", document, fields }
    : { kind, name, act: "refuse", why, fields };
}

function refusal(
  old: CatalogItem,
  item: CatalogItem,
  fields: readonly FieldChange[],
  current: Catalog,
  wanted: Catalog,
): string | undefined {
  const { kind, name } = item;
  const changed = new Set(fields.map((one) => one.field));
  switch (kind) {
    case "price":
      return `the price ${name} is published and never changes: add one with a later effective_from`;
    case "plan_version":
      return old.document["status"] === "draft"
        ? undefined
        : `the version ${name} is published and never changes: add the next version`;
    case "price_book":
      return changed.has("currency") ? `the currency of price book ${name} is fixed` : undefined;
    case "meter": {
      const before = current.meters.find((meter) => meter.key === name);
      const after = wanted.meters.find((meter) => meter.key === name);
      const change = before && after && changeMeter(before, after);
      return change?.kind === "refused" ? change.detail : undefined;
    }
    case "sku": {
      if (old.document["status"] !== "draft")
        for (const field of ["kind", "meter", "units", "validity_days"])
          if (changed.has(field))
            return `${field} of SKU ${name} is fixed since it was published: define another SKU beside it`;
      return backward(old, item);
    }
    case "plan":
      return changed.has("product_line") || changed.has("kind")
        ? `kind and product_line of plan ${name} are fixed`
        : undefined;
    case "service":
      return backward(old, item);
    case "assignment":
    case "alerts":
      return undefined;
  }
}

function backward(old: CatalogItem, item: CatalogItem): string | undefined {
  const statusOf = (one: CatalogItem) =>
    lifecycle.find((status) => status === one.document["status"]) ?? "draft";
  const [before, after] = [statusOf(old), statusOf(item)];
  return lifecycle.indexOf(after) < lifecycle.indexOf(before)
    ? `${item.kind} ${item.name} is ${before}: it cannot go back to ${after}`
    : undefined;
}

function fieldChanges(
  before: CatalogItem["document"],
  after: CatalogItem["document"],
): FieldChange[] {
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return fields
    .filter((field) => canonicalJson(before[field] ?? null) !== canonicalJson(after[field] ?? null))
    .map((field) => ({ field, before: before[field] ?? null, after: after[field] ?? null }));
}

const startOf = (from: unknown): number => (typeof from === "string" ? instant(from) : 0);

/** The steps as a person reads them: + added, ~ changed with each field, − removed, ! refused with the reason. */
export function renderDiff(diff: CatalogDiff): string {
  const signs = { add: "+", change: "~", remove: "-", refuse: "!", keep: "=" } as const;
  return diff.steps
    .flatMap((step) => {
      const head = `${signs[step.act]} ${step.kind.replace("_", " ")} ${step.name}`;
      switch (step.act) {
        case "add":
          return [head, ...summary(step.document).map((text) => `    ${text}`)];
        case "change":
          return [head, ...step.fields.map(fieldLine)];
        case "refuse":
          return [`${head}: ${step.why}`, ...step.fields.map(fieldLine)];
        case "keep":
          return [`${head}: in force, not in the files; it stays`];
        case "remove":
          return [head];
      }
    })
    .join("\n");
}

const fieldLine = ({ field, before, after }: FieldChange): string =>
  `    ${field}: ${shown(before)} → ${shown(after)}`;

const shown = (value: unknown): string => {
  if (value === null || value === undefined) return "(none)";
  return typeof value === "string" ? value : canonicalJson(value);
};

const summary = (document: CatalogItem["document"]): string[] =>
  Object.entries(document)
    .filter(([field]) => !["key", "code", "book", "sku", "plan", "version"].includes(field))
    .map(([field, value]) => `${field}: ${shown(value)}`);
