import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../kit/canonical-json.ts";
import { currency } from "../../kit/currency.ts";
import {
  type Decimal,
  decimal,
  decimalOf,
  formatDecimal,
  isZero,
  multiply,
  zero,
} from "../../kit/decimal.ts";
import { formatMoney } from "../../kit/money.ts";
import { type Instant, instant, type Period } from "../../kit/time.ts";
import type { Meter, Price } from "../catalog/index.ts";
import {
  type Charge,
  contradictions,
  expectedCharges,
  type PricedUsage,
  type Rate,
  type Segment,
} from "./charges.ts";
import { differences, type Existing, type Line } from "./difference.ts";
import { draft } from "./draft.ts";
import type { ChargeFacts, InvoicedAccount, Measured, Offer } from "./facts.ts";
import { contentHash, finalize, stageOf } from "./finalize.ts";
import { seriesFor } from "./number.ts";
import type { Parties } from "./taxed.ts";
import { unconfiguredEntity } from "../tax/index.ts";

const usd = currency("USD");
const january = span("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z");
const february = span("2025-02-01T00:00:00Z", "2025-03-01T00:00:00Z");

function span(from: string, to: string): Period {
  return { startsAt: instant(from), endsAt: instant(to) };
}

const account: InvoicedAccount = {
  orgId: "org_1",
  accountId: "acc_1",
  slug: "acme",
  name: "Acme",
  currency: usd,
  calendar: { timeZone: "UTC", invoiceDay: 1, cycle: "month" },
  netDays: 30,
  legalEntity: "main",
  finalizationHours: 72,
  lateUsage: "next_invoice",
  zeroInvoices: false,
};

const parties: Parties = {
  issuer: unconfiguredEntity,
  rates: [],
  buyer: {
    name: "Acme",
    street: "",
    city: "",
    postcode: "",
    email: null,
    purchaseOrder: null,
    language: "en",
    tax: {
      place: { country: "DE", region: null },
      vatId: null,
      vatIdValid: false,
      exemption: null,
    },
  },
};

const calls = { key: "calls", unit: "call", aggregation: "sum" } as Meter;

const offerAt = (...prices: [from: string, unitAmount: string][]): Offer => ({
  skuCode: "API",
  skuName: "API calls",
  meter: calls,
  meterDefinition: { key: "calls" },
  versions: prices.map(([from, unitAmount], i) => ({
    priceId: `prc_${i + 1}`,
    version: i + 1,
    book: "retail-usd",
    skuCode: "API",
    effectiveFrom: instant(from),
    price: {
      model: "per_unit",
      unitAmount: decimal(unitAmount),
      currency: usd,
      groupBy: [] as string[],
    } as unknown as Price,
    definition: { model: "per_unit", unit_amount: unitAmount },
  })),
});

/** The plainest price there is, so that these tests are about documents and not about price models. */
const perUnit: Rate = (slices: readonly PricedUsage[]) =>
  slices
    .filter((one) => !isZero(one.quantity))
    .map((one): Segment => {
      const { unitAmount } = one.version.price as { unitAmount: Decimal };
      const { quantity, slice } = one;
      const amount = multiply(quantity, unitAmount);
      const priceId = one.version.priceId;
      return { quantity, unitAmount, amount, because: "", dimensions: "{}", priceId, slice };
    });

const used = (quantity: string, slice: Period = january): Measured => ({
  meterKey: "calls",
  projectId: "prj_1",
  dimensions: "{}",
  slice,
  eventCount: 1n,
  quantity: decimal(quantity),
});

const facts = (over: Partial<ChargeFacts> = {}): ChargeFacts => ({
  account,
  period: january,
  offers: [offerAt(["2024-01-01T00:00:00Z", "0.0033"])],
  measured: [used("1000")],
  fixed: [],
  covered: [],
  bindings: [],
  ...over,
});

const draftOf = (expected: readonly Charge[], existing: readonly Existing[], period = january) =>
  draft({
    account,
    period,
    expected,
    existing,
    offers: facts().offers,
    priceBook: "retail-usd",
    bindings: [],
    watermark: { seq: 7n },
    parties,
  });

/** What stands on paper, as the next document finds it. */
const billed = (lines: readonly Line[]): Existing[] => {
  const causes = [...new Set(lines.map((line) => line.cause))];
  return causes.map((cause) => {
    const same = lines.filter((line) => line.cause === cause);
    return {
      ...(same[0] as Line),
      quantity: same.reduce<Decimal>((sum, line) => sum.plus(line.quantity), zero),
      unrounded: same.reduce<Decimal>((sum, line) => sum.plus(line.unrounded), zero),
      amountMinor: same.reduce((sum, line) => sum + line.amount.minor, 0n),
      segments: same.flatMap((line) => line.segments),
    };
  });
};

const picture = (lines: readonly Line[]) =>
  lines.map(
    (line) =>
      `${line.description} ${formatDecimal(line.quantity)} = ${formatDecimal(line.unrounded)} → ${formatMoney(line.amount)}`,
  );

test("a new period is billed as it is, and a second look at unchanged usage yields nothing", () => {
  const first = draftOf(expectedCharges(facts(), perUnit), []);
  expect(picture(first.lines)).toEqual(["API calls 1000 = 3.3 → 3.30"]);
  expect(differences(expectedCharges(facts(), perUnit), billed(first.lines), usd)).toEqual([]);
});

test("usage that arrives after issue stands on the next document under its own month", () => {
  const paper = draftOf(expectedCharges(facts(), perUnit), []);
  const late = expectedCharges(facts({ measured: [used("1040")] }), perUnit);
  const next = draftOf(
    [
      ...late,
      ...expectedCharges(facts({ period: february, measured: [used("10", february)] }), perUnit),
    ],
    billed(paper.lines),
    february,
  );
  expect(picture(next.lines)).toEqual([
    "API calls 10 = 0.033 → 0.03",
    "API calls: usage of 2025-01 40 = 0.132 → 0.13",
  ]);
});

test("what is no longer owed is taken back to the cent", () => {
  const paper = draftOf(expectedCharges(facts(), perUnit), []);
  expect(picture(differences([], billed(paper.lines), usd))).toEqual([
    "API calls -1000 = -3.3 → -3.30",
  ]);
});

test("whatever the corrections, all documents together bill the exact amount rounded once", () => {
  const quantities = fc.array(fc.integer({ min: -5000, max: 5000 }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(quantities, (steps) => {
      const lines: Line[] = [];
      for (const total of steps) {
        const now = expectedCharges(facts({ measured: [used(String(total))] }), perUnit);
        lines.push(...differences(now, billed(lines), usd));
        for (const segment of lines.flatMap((line) => line.segments))
          expect(multiply(segment.unitAmount, segment.quantity)).toEqual(segment.amount);
      }
      const [expected] = expectedCharges(
        facts({ measured: [used(String(steps.at(-1)))] }),
        perUnit,
      );
      const [sum] = billed(lines);
      expect(formatDecimal(sum?.unrounded ?? zero)).toBe(
        formatDecimal(expected?.unrounded ?? zero),
      );
      const exact = (expected?.unrounded ?? zero).times(decimalOf(100)).toDecimalPlaces(0);
      expect(sum?.amountMinor ?? 0n).toBe(BigInt(exact.toFixed()));
    }),
  );
});

test("a price that changes within the period prices each side by its own version", () => {
  const offer = offerAt(["2024-01-01T00:00:00Z", "0.06"], ["2025-01-16T00:00:00Z", "0.07"]);
  const measured = [
    used("10", span("2025-01-01T00:00:00Z", "2025-01-16T00:00:00Z")),
    used("10", span("2025-01-16T00:00:00Z", "2025-02-01T00:00:00Z")),
  ];
  const [charge] = expectedCharges(facts({ offers: [offer], measured }), perUnit);
  expect(charge?.segments.map((s) => `${s.priceId} ${formatDecimal(s.amount)}`)).toEqual([
    "prc_1 0.6",
    "prc_2 0.7",
  ]);
});

test("a meter that two SKUs price is a contradiction with both names", () => {
  const offer = offerAt(["2024-01-01T00:00:00Z", "1"]);
  expect(contradictions(facts({ offers: [offer, { ...offer, skuCode: "API-2" }] }))).toEqual([
    "meter calls is priced by API and by API-2: its usage would be billed twice",
  ]);
});

test("draft(facts) is a function: twice gives equal bytes, in any order of the facts", () => {
  const parts = [used("1"), { ...used("2"), projectId: "prj_2" }];
  const once = draftOf(expectedCharges(facts({ measured: parts }), perUnit), []);
  const again = draftOf(expectedCharges(facts({ measured: parts.toReversed() }), perUnit), []);
  expect(canonicalJson(again.content)).toBe(canonicalJson(once.content));
});

test("Net 30 from 1 February is due on 3 March, and the hash is that of the whole paper", () => {
  const issued = finalize(
    draftOf(expectedCharges(facts(), perUnit), []),
    { invoiceId: "inv_1", kind: "invoice", series: seriesFor("main", "invoice"), n: 42n },
    instant("2025-02-01T00:00:00Z"),
  );
  expect(issued.content).toMatchObject({ number: "INV-000042", due_on: "2025-03-03" });
  expect(issued.contentHash).toEqual(contentHash(JSON.parse(canonicalJson(issued.content))));
});

test.each([
  ["2025-01-31T23:59:59.999999Z", "upcoming"],
  ["2025-02-01T00:00:00Z", "draft"],
  ["2025-02-03T23:59:59.999999Z", "draft"],
  ["2025-02-04T00:00:00Z", "due"],
])("at %s January is %s", (at, stage) => {
  expect(stageOf(account, january, instant(at) as Instant)).toBe(stage);
});

test("units of a batch are taken off once where the price changes within their quarter of an hour", () => {
  const noon = span("2025-01-10T12:00:00Z", "2025-01-10T12:15:00Z");
  const change = "2025-01-10T12:07:00Z";
  const before = { startsAt: january.startsAt, endsAt: instant(change) };
  const after = { startsAt: instant(change), endsAt: january.endsAt };
  const [charge] = expectedCharges(
    facts({
      offers: [offerAt(["2024-01-01T00:00:00Z", "0.06"], [change, "0.07"])],
      measured: [used("30", before), used("50", after)],
      covered: [{ skuCode: "API", slice: noon, quantity: decimal("40") }],
    }),
    perUnit,
  );
  // 80 used, 40 paid for: the 30 before the change and 10 after it. 40 × 0.07.
  expect(
    charge?.segments.map((one) => [formatDecimal(one.quantity), formatDecimal(one.amount)]),
  ).toEqual([["40", "2.8"]]);
  expect(formatDecimal(charge?.quantity ?? zero)).toBe("40");
});
