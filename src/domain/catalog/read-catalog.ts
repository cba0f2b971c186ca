import { assert } from "../../kit/assert.ts";
import { isCurrency } from "../../kit/currency.ts";
import type { Fault } from "../refusals/index.ts";
import {
  type AlertDefaults,
  alertSubjects,
  type Assignment,
  type BookPrice,
  type Catalog,
  lifecycle,
  type PriceBook,
  type Service,
  type Sku,
  skuKinds,
  standardAlerts,
} from "./catalog.ts";
import { catalogFaults } from "./catalog-soundness.ts";
import { type Meter, readMeter } from "./meter.ts";
import type { Plan } from "./plan.ts";
import { readPrice } from "./price-document.ts";
import { type ObjectReader, objectReader } from "./price-reader.ts";
import { readPlan } from "./read-plan.ts";
import { identifier, line, needed, readFrom, skuCode } from "./read-words.ts";

/** One file of a catalog folder, parsed but not yet believed. */
export type CatalogFile = { readonly name: string; readonly document: unknown };
export type CatalogFault = Fault & { readonly file: string };
/** Where a thing of the catalog was written, for faults that only show when everything is looked at together. */
export type Origin = { readonly file: string; readonly pointer: string };
export type Origins = ReadonlyMap<object, Origin>;

export type CatalogReading =
  | { readonly catalog: Catalog; readonly faults?: never }
  | { readonly faults: readonly CatalogFault[]; readonly catalog?: never };

const catalogSections = [
  "services",
  "meters",
  "skus",
  "price_books",
  "prices",
  "plans",
  "assignments",
  "alerts",
] as const;

/**
 * Read a folder of catalog files as one catalog: either sound as a whole, or everything that is wrong, each fault with
 * its file and pointer. Sections may be spread over files as one likes.
 */
export function readCatalog(files: readonly CatalogFile[]): CatalogReading {
  const { catalog, faults, origins } = readParts(files);
  if (faults.length > 0) return { faults };
  const together = catalogFaults(catalog).map(({ at, member, detail }): CatalogFault => {
    const origin = origins.get(at) ?? { file: "", pointer: "" };
    return { file: origin.file, pointer: `${origin.pointer}${member}`, detail };
  });
  return together.length > 0 ? { faults: together } : { catalog };
}

/** Read what is already in force: it was sound when it was published, and is not judged again. */
export function readPublishedCatalog(file: CatalogFile): Catalog {
  const { catalog, faults } = readParts([file]);
  const [fault] = faults;
  assert(
    fault === undefined,
    `the stored catalog cannot be read: ${fault?.pointer} ${fault?.detail}`,
  );
  return catalog;
}

function readParts(files: readonly CatalogFile[]) {
  const faults: CatalogFault[] = [];
  const origins = new Map<object, Origin>();
  const parts = files.map((file) => readFile(file, faults, origins));
  const alerts = parts.map((part) => part.alerts).filter((one) => one !== undefined);
  const catalog: Catalog = {
    services: parts.flatMap((part) => part.services),
    meters: parts.flatMap((part) => part.meters),
    skus: parts.flatMap((part) => part.skus),
    books: parts.flatMap((part) => part.books),
    prices: parts.flatMap((part) => part.prices),
    plans: parts.flatMap((part) => part.plans),
    assignments: parts.flatMap((part) => part.assignments),
    alerts: alerts[0] ?? standardAlerts,
  };
  return { catalog, faults, origins };
}

type Part = {
  readonly services: Service[];
  readonly meters: Meter[];
  readonly skus: Sku[];
  readonly books: PriceBook[];
  readonly prices: BookPrice[];
  readonly plans: Plan[];
  readonly assignments: Assignment[];
  readonly alerts: AlertDefaults | undefined;
};

function readFile(file: CatalogFile, into: CatalogFault[], origins: Map<object, Origin>): Part {
  const faults: Fault[] = [];
  const reader = objectReader(file.document ?? {}, "", faults);
  reader?.only("a catalog file", ["$schema", ...catalogSections]);
  const each = <T extends object>(
    section: string,
    read: (item: ObjectReader, raw: unknown, pointer: string) => T | undefined,
  ): T[] => {
    if (!reader?.has(section)) return [];
    const raw = reader.raw(section);
    return (reader.list(section) ?? []).flatMap((item, index) => {
      const pointer = `/${section}/${index}`;
      const found = read(item, (raw as unknown[])[index], pointer);
      if (found === undefined) return [];
      origins.set(found, { file: file.name, pointer });
      return [found];
    });
  };
  const under = (pointer: string, found: readonly Fault[]) =>
    faults.push(...found.map((fault) => ({ ...fault, pointer: `${pointer}${fault.pointer}` })));

  const part: Part = {
    services: each("services", readService),
    meters: each("meters", (_item, raw, pointer) => {
      const read = readMeter(raw);
      if (read.faults) under(pointer, read.faults);
      return read.meter;
    }),
    skus: each("skus", readSku),
    books: each("price_books", readBook),
    prices: each("prices", (item, raw, pointer) => {
      const { book, sku, effective_from: _from, confirm: _confirm, ...document } = raw as Raw;
      const read = readPrice(document);
      if ("faults" in read) under(pointer, read.faults);
      const placed = {
        book: needed(item, "book", identifier(item, "book")),
        sku: needed(item, "sku", skuCode(item, "sku")),
        effectiveFrom: readFrom(item),
      };
      if ("faults" in read || !book || !sku) return undefined;
      return { ...placed, price: read.price, confirms: item.texts("confirm") ?? [] };
    }),
    plans: each("plans", readPlan),
    assignments: each("assignments", readAssignment),
    alerts: reader?.has("alerts") ? readAlerts(reader.object("alerts")) : undefined,
  };
  into.push(...faults.map((fault) => ({ ...fault, file: file.name })));
  return part;
}

type Raw = Readonly<Record<string, unknown>>;

function readService(item: ObjectReader): Service {
  item.only("a service", ["key", "name", "description", "status"]);
  const key = needed(item, "key", identifier(item, "key"));
  return {
    key,
    name: line(item, "name") ?? key,
    description: line(item, "description") ?? "",
    status: item.choice("status", lifecycle) ?? "published",
  };
}

const skuMembers = [
  "code",
  "name",
  "service",
  "kind",
  "status",
  "class",
  "family",
  "variant",
  "pay_plan",
  "meter",
  "units",
  "validity_days",
  "unit",
  "restricted",
];

function readSku(item: ObjectReader): Sku {
  item.only("a SKU", skuMembers);
  const code = needed(item, "code", skuCode(item, "code"));
  const kind = item.choice("kind", skuKinds) ?? "usage";
  const units = item.units("units", "positive");
  const days = item.units("validity_days", "positive");
  if (days && (!days.isInteger() || days.greaterThan(36_500)))
    item.fault("validity_days", "validity_days is a whole number of days");
  if (kind === "batch") {
    if (!item.has("units")) item.fault("units", "a batch says how many units it gives");
    if (!item.has("validity_days"))
      item.fault("validity_days", "a batch says for how many days it is good");
  } else if (item.has("units") || item.has("validity_days"))
    item.fault("units", `only a batch has units and validity_days, and this SKU is ${kind}`);
  if ((kind === "usage" || kind === "batch") && !item.has("meter"))
    item.fault("meter", `a ${kind} SKU names the meter it is about`);
  return {
    code,
    name: line(item, "name") ?? code,
    service: identifier(item, "service") ?? null,
    kind,
    status: item.choice("status", lifecycle) ?? "published",
    labels: {
      class: line(item, "class") ?? "",
      family: line(item, "family") ?? "",
      variant: line(item, "variant") ?? "",
      payPlan: line(item, "pay_plan") ?? "",
    },
    meter: identifier(item, "meter") ?? null,
    batch: units && days ? { units, validityDays: days.toNumber() } : null,
    unit: line(item, "unit") ?? null,
    restricted: item.flag("restricted") ?? false,
  };
}

function readBook(item: ObjectReader): PriceBook | undefined {
  item.only("a price book", ["code", "name", "currency", "parent"]);
  const code = needed(item, "code", identifier(item, "code"));
  const currency = item.raw("currency");
  if (typeof currency !== "string" || !isCurrency(currency)) {
    item.fault("currency", "a price book has an ISO 4217 currency in use, such as USD or EUR");
    return undefined;
  }
  return {
    code,
    name: line(item, "name") ?? code,
    currency,
    parent: identifier(item, "parent") ?? null,
  };
}

function readAssignment(item: ObjectReader): Assignment | undefined {
  item.only("an assignment", ["sku", "plan", "organization"]);
  const organization = needed(item, "organization", line(item, "organization"));
  if (item.has("sku") === item.has("plan")) {
    item.fault("sku", "an assignment names either a sku or a plan");
    return undefined;
  }
  return item.has("sku")
    ? { kind: "sku", key: skuCode(item, "sku") ?? "", organization }
    : { kind: "plan", key: identifier(item, "plan") ?? "", organization };
}

function readAlerts(item: ObjectReader | undefined): AlertDefaults | undefined {
  if (!item) return undefined;
  item.only("alert defaults", alertSubjects);
  const read = (subject: (typeof alertSubjects)[number]): readonly number[] => {
    if (!item.has(subject)) return standardAlerts[subject];
    const value = item.raw(subject);
    const isFit =
      Array.isArray(value) &&
      value.every((one) => Number.isInteger(one) && one >= 1 && one <= 200) &&
      value.every((one, index) => index === 0 || one > value[index - 1]);
    if (isFit) return value as number[];
    item.fault(subject, "thresholds are whole per cent from 1 to 200, rising");
    return [];
  };
  return {
    batch: read("batch"),
    budget: read("budget"),
    quota: read("quota"),
    credit_limit: read("credit_limit"),
  };
}
