import fc from "fast-check";
import { expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { decimal } from "../../kit/decimal.ts";
import type { Instant } from "../../kit/time.ts";
import type { Meter, Price } from "../catalog/index.ts";
import type { Offer, PriceVersion } from "./facts.ts";
import { type PlanPrice, type PlanSpan, withPlanPrices } from "./plan-prices.ts";

const usd = currency("USD");
const price = {
  model: "per_unit",
  unitAmount: decimal("1"),
  currency: usd,
  groupBy: [],
} as unknown;
const bookPrice = (id: string, from: number): PriceVersion => ({
  priceId: id,
  version: 1,
  book: "retail-usd",
  skuCode: "CALLS",
  effectiveFrom: from as Instant,
  price: price as Price,
  definition: {},
});
const planPrice = (plan: string): PlanPrice => ({
  priceId: `plan:${plan}`,
  version: 1,
  book: `plan:${plan}`,
  skuCode: "CALLS",
  price: price as Price,
  definition: {},
  publishedFrom: 0 as Instant,
  origin: `plan ${plan}`,
});
const held = (plan: string, startsAt: number, endsAt: number): PlanSpan => ({
  price: planPrice(plan),
  span: { startsAt: startsAt as Instant, endsAt: endsAt as Instant },
});
const offer = (versions: readonly PriceVersion[]): Offer => ({
  skuCode: "CALLS",
  skuName: "Calls",
  meter: { key: "calls", unit: "call", aggregation: "sum" } as Meter,
  meterDefinition: {},
  versions,
});
const bare = () => offer([]);
const versionsOf = (book: readonly PriceVersion[], spans: readonly PlanSpan[]) =>
  withPlanPrices(book.length === 0 ? [] : [offer(book)], spans, bare)[0]?.versions ?? [];
const shown = (versions: readonly PriceVersion[]) =>
  versions.map((one) => [one.priceId, one.effectiveFrom, one.endsAt ?? null]);

test("before the plan and after it the book decides, also where its price changed meanwhile", () => {
  const book = [bookPrice("old", 0), bookPrice("new", 50)];
  expect(shown(versionsOf(book, [held("pro", 20, 70)]))).toEqual([
    ["old", 0, null],
    ["plan:pro", 20, null],
    ["new", 70, null],
  ]);
});

test("what no book prices has a price only while the plan is held", () => {
  expect(shown(versionsOf([], [held("pro", 20, 70), held("pro", 90, 95)]))).toEqual([
    ["plan:pro", 20, 70],
    ["plan:pro", 90, 95],
  ]);
});

test("a plan that goes on through a change of seats goes on as one price", () => {
  expect(
    shown(versionsOf([bookPrice("old", 0)], [held("pro", 20, 40), held("pro", 40, 60)])),
  ).toEqual([
    ["old", 0, null],
    ["plan:pro", 20, null],
    ["old", 60, null],
  ]);
});

test("at every moment exactly one price holds: the first plan held then, else the book's, else none (law)", () => {
  const moment = fc.integer({ min: 0, max: 40 });
  fc.assert(
    fc.property(
      fc.uniqueArray(moment, { maxLength: 4 }),
      fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), moment, moment), {
        minLength: 1,
        maxLength: 6,
      }),
      (starts, plans) => {
        const book = starts.toSorted((x, y) => x - y).map((at) => bookPrice(`book-${at}`, at));
        const spans = plans
          .filter(([, from, to]) => from !== to)
          .map(([plan, from, to]) => held(plan, Math.min(from, to), Math.max(from, to)));
        const versions = versionsOf(book, spans);
        for (let at = 0; at <= 41; at++) {
          const own = spans.find(({ span }) => span.startsAt <= at && at < span.endsAt);
          const wanted =
            own?.price.priceId ?? book.findLast((one) => one.effectiveFrom <= at)?.priceId;
          const holding = versions.filter(
            (one, i) =>
              one.effectiveFrom <= at &&
              at < (one.endsAt ?? versions[i + 1]?.effectiveFrom ?? Number.POSITIVE_INFINITY),
          );
          expect(holding.map((one) => one.priceId)).toEqual(wanted === undefined ? [] : [wanted]);
        }
        // As few as there can be: no two neighbours are the same price without a gap between them.
        for (const [i, one] of versions.entries())
          expect(
            one.priceId === versions[i - 1]?.priceId && versions[i - 1]?.endsAt === undefined,
          ).toBe(false);
      },
    ),
  );
});
