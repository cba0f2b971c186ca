import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { decimal } from "../../kit/decimal.ts";
import { formatMoney, money, negated, parseMoney, sumMoney } from "../../kit/money.ts";
import { dayOf } from "../../kit/time.ts";
import {
  calculateTax,
  decideTax,
  documentTotals,
  overlappingRates,
  spreadDiscount,
  type TaxableLine,
  type TaxBuyer,
  type TaxRate,
  type TaxSeller,
} from "./index.ts";

const EUR = currency("EUR");
const rate = (country: string, percent: string, more: Partial<TaxRate> = {}): TaxRate => ({
  country,
  region: null,
  productClass: "standard",
  name: "VAT",
  percent: decimal(percent),
  from: dayOf("2020-01-01"),
  until: null,
  ...more,
});
const table = [
  rate("DE", "19"),
  rate("FR", "20"),
  rate("DE", "7", { productClass: "reduced" }),
  rate("CA", "5", { name: "GST" }),
  rate("CA", "7", { name: "PST", region: "BC" }),
];
const seller: TaxSeller = { country: "FR", vatId: "FR40303265045", registeredIn: [] };
const buyer = (country: string, more: Partial<TaxBuyer> = {}): TaxBuyer => ({
  place: { country, region: null },
  vatId: null,
  vatIdValid: false,
  exemption: null,
  ...more,
});
const decide = (
  who: TaxBuyer,
  more: { productClass?: string; on?: string; rates?: TaxRate[]; by?: TaxSeller } = {},
) =>
  decideTax({
    seller: more.by ?? seller,
    buyer: who,
    productClass: more.productClass ?? "standard",
    on: dayOf(more.on ?? "2025-06-01"),
    table: more.rates ?? table,
  });

const line = (
  amount: string,
  percent: string,
  category: TaxableLine["category"] = "S",
): TaxableLine => ({
  amount: parseMoney(amount, EUR),
  category,
  components: category === "S" ? [{ name: "VAT", percent: decimal(percent) }] : [],
});

describe("which tax", () => {
  test("at home: the rate of the day of supply", () => {
    const rates = [
      rate("DE", "19", { until: dayOf("2025-07-01") }),
      rate("DE", "21", { from: dayOf("2025-07-01") }),
    ];
    const percentOn = (on: string) => {
      const treatment = decide(buyer("DE"), { on, rates, by: { ...seller, country: "DE" } });
      return treatment.kind === "taxed"
        ? treatment.components.map((c) => c.percent.toFixed())
        : treatment.kind;
    };
    expect(percentOn("2025-06-30")).toEqual(["19"]);
    expect(percentOn("2025-07-01")).toEqual(["21"]);
    expect(overlappingRates(rates)).toEqual([]);
    expect(
      overlappingRates([...rates, rate("DE", "20", { from: dayOf("2025-08-01") })]),
    ).toHaveLength(1);
  });

  test("a business in another member state with a valid id accounts for it itself; one with an unchecked id does not", () => {
    expect(decide(buyer("DE", { vatId: "DE136695976", vatIdValid: true }))).toMatchObject({
      kind: "untaxed",
      category: "AE",
      reasonCode: "VATEX-EU-AE",
    });
    expect(decide(buyer("DE", { vatId: "DE136695976" }))).toMatchObject({
      kind: "taxed",
      category: "S",
    });
    expect(decide(buyer("FR", { vatId: "FR40303265045", vatIdValid: true }))).toMatchObject({
      kind: "taxed",
    });
  });

  test("a certificate frees while it is valid, and only there", () => {
    const exemption = {
      country: "DE",
      certificate: "EX-1",
      from: dayOf("2025-01-01"),
      until: dayOf("2025-07-01"),
    };
    expect(decide(buyer("DE", { exemption }))).toMatchObject({ category: "E" });
    expect(decide(buyer("DE", { exemption }), { on: "2025-07-01" })).toMatchObject({
      kind: "taxed",
    });
    expect(decide(buyer("FR", { exemption }))).toMatchObject({ kind: "taxed" });
  });

  test("outside the Union: export; where the seller is registered: the rates there add up", () => {
    expect(decide(buyer("US"))).toMatchObject({ category: "G" });
    const canadian = { ...seller, country: "CA" };
    const inBc = buyer("CA", { place: { country: "CA", region: "BC" } });
    expect(decide(inBc, { by: canadian })).toMatchObject({
      components: [{ name: "GST" }, { name: "PST" }],
    });
    expect(decide(buyer("FR"), { by: canadian })).toMatchObject({ category: "O" });
  });

  test("is never zero in silence: an unknown place stops the invoice and says what to do", () => {
    expect(decide(buyer("PL"))).toEqual({
      kind: "undecided",
      because:
        "no rate for PL, class standard, on 2025-06-01: add one to the tax table, or a certificate to the account",
    });
  });
});

describe("how much", () => {
  test("R-124: 100.00 at 20 % is 20.00, 55.00 at 8.25 % is 4.54", () => {
    expect(formatMoney(calculateTax(EUR, [line("100.00", "20")]).gross)).toBe("120.00");
    expect(formatMoney(calculateTax(EUR, [line("55.00", "8.25")]).tax)).toBe("4.54");
  });

  test("three lines of 0.50 at 7 %: 0.11 on the document, 0.12 line by line", () => {
    const lines = [line("0.50", "7"), line("0.50", "7"), line("0.50", "7")];
    expect(formatMoney(calculateTax(EUR, lines).tax)).toBe("0.11");
    expect(formatMoney(calculateTax(EUR, lines, { rounding: "line" }).tax)).toBe("0.12");
  });

  test("prices that include it: net and tax add back to what was quoted", () => {
    const result = calculateTax(EUR, [line("2.99", "4")], { pricesIncludeTax: true });
    expect([result.net, result.tax, result.gross].map(formatMoney)).toEqual([
      "2.88",
      "0.11",
      "2.99",
    ]);
  });

  test("a document allowance lowers the base of its own rate before rounding", () => {
    const totals = documentTotals(EUR, [line("14.50", "5"), line("14.50", "5")], {
      adjustments: [
        {
          kind: "allowance",
          amount: parseMoney("14.50", EUR),
          reason: "Half off",
          category: "S",
          components: [{ name: "VAT", percent: decimal("5") }],
        },
      ],
      prepaid: parseMoney("5.00", EUR),
    });
    expect(
      [
        totals.lineTotal,
        totals.allowances,
        totals.taxExclusive,
        totals.tax,
        totals.taxInclusive,
        totals.due,
      ].map(formatMoney),
    ).toEqual(["29.00", "14.50", "14.50", "0.73", "15.23", "10.23"]);
  });
});

const anyLine = fc
  .record({
    minor: fc.bigInt({ min: -1_000_000n, max: 10_000_000n }),
    percent: fc.constantFrom("0", "5", "7", "8.875", "19", "25"),
    taxed: fc.boolean(),
  })
  .map(
    ({ minor, percent, taxed }): TaxableLine => ({
      amount: money(EUR, minor),
      category: taxed ? "S" : "E",
      components: taxed ? [{ name: "VAT", percent: decimal(percent) }] : [],
    }),
  );
const anyOptions = fc.record({
  rounding: fc.constantFrom("document" as const, "line" as const),
  pricesIncludeTax: fc.boolean(),
});

describe("laws of tax", () => {
  test("lines sum to groups, groups to the document, net and tax to gross", () => {
    fc.assert(
      fc.property(
        fc.array(anyLine, { minLength: 1, maxLength: 12 }),
        anyOptions,
        (lines, options) => {
          const result = calculateTax(EUR, lines, options);
          const sum = (amounts: ReturnType<typeof money>[]) => sumMoney(EUR, amounts).minor;
          expect(sum(result.lines.map((l) => l.tax))).toBe(result.tax.minor);
          expect(sum(result.groups.map((g) => g.tax))).toBe(result.tax.minor);
          expect(sum(result.groups.map((g) => g.taxable))).toBe(result.net.minor);
          expect(result.gross.minor).toBe(result.net.minor + result.tax.minor);
          for (const group of result.groups)
            expect(sum(group.components.map((c) => c.tax))).toBe(
              group.components.length > 0 ? group.tax.minor : 0n,
            );
          if (options.pricesIncludeTax)
            expect(result.gross.minor).toBe(sum(lines.map((l) => l.amount)));
        },
      ),
    );
  });

  test("a credit note mirrors its invoice to the last cent", () => {
    fc.assert(
      fc.property(
        fc.array(anyLine, { minLength: 1, maxLength: 8 }),
        anyOptions,
        (lines, options) => {
          const mirrored = lines.map((one) => ({ ...one, amount: negated(one.amount) }));
          expect(calculateTax(EUR, mirrored, options).tax.minor).toBe(
            -calculateTax(EUR, lines, options).tax.minor,
          );
        },
      ),
    );
  });

  test("a discount spread over lines sums to the discount, or to all there is", () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: 0n, max: 100_000n }), { minLength: 1, maxLength: 9 }),
        fc.bigInt({ min: 0n, max: 300_000n }),
        (minors, off) => {
          const lines = minors.map((minor) => money(EUR, minor));
          const total = minors.reduce((a, b) => a + b, 0n);
          const parts = spreadDiscount(lines, money(EUR, off));
          expect(sumMoney(EUR, parts).minor).toBe(off < total ? off : total);
          for (const [i, part] of parts.entries())
            expect(part.minor <= (minors[i] as bigint)).toBe(true);
        },
      ),
    );
  });
});
