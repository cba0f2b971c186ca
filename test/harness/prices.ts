import fc from "fast-check";
import { type Price, readPrice } from "../../src/domain/catalog/index.ts";
import { decimal } from "../../src/kit/decimal.ts";
import type { Usage } from "../../src/domain/rating/index.ts";

export type Document = Readonly<Record<string, unknown>>;

/** Read a document that must be sound. */
export function soundPrice(document: Document): Price {
  const read = readPrice({ currency: "USD", ...document });
  if ("faults" in read) throw new Error(JSON.stringify(read.faults));
  return read.price;
}

const written = (whole: bigint, digits: number): string => {
  const text = whole.toString().padStart(digits + 1, "0");
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
};

/** A decimal text from 0 up, with up to `digits` digits after the point. */
export const anyAmount = (max: bigint = 10n ** 9n, digits = 8) =>
  fc
    .tuple(fc.bigInt({ min: 0n, max }), fc.integer({ min: 0, max: digits }))
    .map(([whole, scale]) => written(whole, scale));

export const anyPositive = (max?: bigint, digits?: number) =>
  anyAmount(max, digits).filter((text) => /[1-9]/.test(text));

export const anyQuantity = () => anyAmount(10n ** 10n, 4);

const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** Rising bounds, the last one open. */
const anyBounds = () =>
  fc
    .uniqueArray(fc.bigInt({ min: 1n, max: 10n ** 7n }), { maxLength: 4 })
    .map((bounds) => [
      ...bounds.toSorted((a, b) => (a < b ? -1 : 1)).map((bound) => written(bound, 2)),
      null,
    ]);

export const anyTiers = (withPackages: boolean) =>
  anyBounds().chain((bounds) =>
    fc.tuple(
      ...bounds.map((up_to) =>
        fc.record({
          up_to: fc.constant(up_to),
          unit_amount: anyAmount(10n ** 7n),
          flat_amount: sometimes(anyAmount(10n ** 6n, 3)),
          package_size: withPackages
            ? sometimes(anyPositive(10n ** 5n, 2))
            : fc.constant(undefined),
        }),
      ),
    ),
  );

const anyConversion = () =>
  fc.oneof(
    fc.record({
      operation: fc.constantFrom("divide", "multiply"),
      factor: anyPositive(10n ** 4n, 2),
      rounding: fc.constantFrom("ceiling", "floor", "half_away"),
      digits: fc.integer({ min: 0, max: 6 }),
    }),
    fc.record({
      operation: fc.constant("divide"),
      factor: fc.constantFrom("1000", "1024", "1000000", "0.5"),
      rounding: fc.constant("none"),
    }),
  );

const anyModel = (): fc.Arbitrary<Document> =>
  fc.oneof(
    anyAmount().map((amount) => ({ model: "flat_fee", amount })),
    anyAmount().map((unit_amount) => ({ model: "per_unit", unit_amount })),
    fc
      .tuple(fc.constantFrom("graduated", "volume"), anyTiers(true), fc.boolean())
      .map(([model, tiers, flat_amount_at_zero]) => ({ model, tiers, flat_amount_at_zero })),
    fc
      .tuple(anyPositive(10n ** 6n, 2), anyAmount(), fc.constantFrom("up", "down"))
      .map(([package_size, unit_amount, package_rounding]) => ({
        model: "package",
        package_size,
        unit_amount,
        package_rounding,
      })),
    fc
      .record({
        rate: anyAmount(10n ** 5n, 3),
        fixed_amount: sometimes(anyAmount(1000n, 2)),
        free_events: fc.integer({ min: 0, max: 4 }),
      })
      .map((rest) => ({ model: "percentage", ...rest })),
    fc
      .tuple(anyBounds(), fc.array(anyAmount(10n ** 5n, 3), { minLength: 5, maxLength: 5 }))
      .map(([bounds, rates]) => ({
        model: "percentage",
        tiers: bounds.map((up_to, index) => ({ up_to, rate: rates[index] })),
      })),
    fc
      .record({
        rate: anyAmount(10n ** 5n, 3),
        fixed_amount: sometimes(anyAmount(1000n, 2)),
        free_events: fc.integer({ min: 0, max: 3 }),
        free_events_cover: fc.constantFrom("fixed_amount", "whole_event"),
        per_event_minimum: sometimes(anyAmount(500n, 2)),
      })
      .map((rest) => ({ model: "percentage", ...rest })),
    fc.array(anyAmount(10n ** 7n), { minLength: 3, maxLength: 3 }).map(([a, b, rest]) => ({
      model: "matrix",
      dimensions: ["model", "region"],
      cells: [
        { match: { model: "A" }, unit_amount: a },
        { match: { model: "A", region: "eu" }, unit_amount: b },
      ],
      default_unit_amount: rest,
    })),
  );

const looksAtEvents = (document: Document) =>
  document.free_events_cover === "whole_event" || document.per_event_minimum !== undefined;

/** Any sound price, as its document. */
export const anyDocument = (): fc.Arbitrary<Document> =>
  fc
    .record({
      core: anyModel(),
      free_units: sometimes(anyAmount(10n ** 5n, 2)),
      conversion: sometimes(anyConversion()),
      limits: sometimes(fc.tuple(anyAmount(10n ** 5n, 2), anyAmount(10n ** 6n, 2))),
      negative_usage: fc.constantFrom("zero", "mirror"),
      group_by: sometimes(fc.constantFrom(["region"], ["region", "model"])),
    })
    .map(({ core, free_units, conversion, limits, negative_usage, group_by }) => {
      const [a, b] = limits ?? [];
      const ordered = a !== undefined && b !== undefined && decimal(a).lessThan(b);
      const measured = {
        free_units,
        negative_usage,
        ...(looksAtEvents(core) ? {} : { conversion }),
        ...(looksAtEvents(core) || core.model === "matrix" ? {} : { group_by }),
      };
      return JSON.parse(
        JSON.stringify({
          currency: "USD",
          ...core,
          ...(core.model === "flat_fee" ? {} : measured),
          ...(ordered ? { minimum_amount: a, maximum_amount: b } : {}),
        }),
      ) as Document;
    });

/** Usage as raw text; what the verifier reads. */
export type RawUsage = {
  readonly quantity: string;
  readonly eventAmounts: readonly string[];
  readonly dimensions: Readonly<Record<string, string>>;
};

/** Usage of a few events with dimensions, whose quantity is the sum of their amounts. */
export const anyUsage = (): fc.Arbitrary<RawUsage> =>
  fc
    .record({
      eventAmounts: fc.array(anyAmount(10n ** 8n, 3), { minLength: 1, maxLength: 4 }),
      model: sometimes(fc.constantFrom("A", "B")),
      region: sometimes(fc.constantFrom("eu", "us")),
    })
    .map(({ eventAmounts, model, region }) => ({
      eventAmounts,
      quantity: eventAmounts.reduce((sum, one) => sum.plus(one), decimal("0")).toFixed(),
      dimensions: { ...(model ? { model } : {}), ...(region ? { region } : {}) },
    }));

export const usageOf = (raw: RawUsage): Usage => ({
  quantity: decimal(raw.quantity),
  eventAmounts: raw.eventAmounts.map(decimal),
  dimensions: raw.dimensions,
});
