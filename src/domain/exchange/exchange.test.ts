import { describe, expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { decimal } from "../../kit/decimal.ts";
import { formatMoney, parseMoney } from "../../kit/money.ts";
import { dayOf } from "../../kit/time.ts";
import { convert, type FxRate, rateOn, sumIn } from "./index.ts";

const [EUR, USD, JPY, KWD] = ["EUR", "USD", "JPY", "KWD"].map(currency) as [
  ReturnType<typeof currency>,
  ReturnType<typeof currency>,
  ReturnType<typeof currency>,
  ReturnType<typeof currency>,
];
const rate = (from: typeof EUR, to: typeof EUR, on: string, value: string): FxRate => ({
  from,
  to,
  on: dayOf(on),
  rate: decimal(value),
  source: "ECB",
});
const rates = [
  rate(EUR, USD, "2025-01-03", "1.0299"),
  rate(EUR, USD, "2025-01-06", "1.0426"),
  rate(EUR, JPY, "2025-01-06", "164.03"),
  rate(EUR, KWD, "2025-01-06", "0.32115"),
];

describe("recorded rates", () => {
  test("a weekend takes Friday's; a week without any refuses and says what to record", () => {
    expect(rateOn(rates, EUR, USD, dayOf("2025-01-05"))).toMatchObject({
      kind: "rate",
      rate: { on: "2025-01-03" },
    });
    expect(rateOn(rates, EUR, USD, dayOf("2025-01-13"))).toMatchObject({
      kind: "rate",
      rate: { on: "2025-01-06" },
    });
    expect(rateOn(rates, EUR, USD, dayOf("2025-01-14"))).toEqual({
      kind: "missing",
      because:
        "no rate from EUR to USD is recorded for 2025-01-14 or the 7 days before: record one",
    });
    expect(rateOn(rates, USD, EUR, dayOf("2025-01-06")).kind).toBe("missing");
  });

  test.each([
    [USD, "104.26"],
    [JPY, "16403"],
    [KWD, "32.115"],
  ])("100.00 EUR in %s is %s, rounded to that currency's own digits", (to, expected) => {
    const found = rateOn(rates, EUR, to, dayOf("2025-01-06"));
    if (found.kind === "missing") throw new Error(found.because);
    expect(formatMoney(convert(parseMoney("100.00", EUR), found.rate).amount)).toBe(expected);
  });

  test("no sum over currencies without a rate and its day", () => {
    const amounts = [parseMoney("10.00", USD), parseMoney("100.00", EUR)];
    const sum = sumIn(USD, amounts, rates, dayOf("2025-01-06"));
    expect(
      sum.kind === "sum" && [formatMoney(sum.total), sum.conversions.map((one) => one.rate.on)],
    ).toEqual(["114.26", ["2025-01-06"]]);
    expect(sumIn(EUR, amounts, rates, dayOf("2025-01-06"))).toMatchObject({ kind: "missing" });
    expect(() => convert(parseMoney("1.00", USD), rates[0] as FxRate)).toThrow(
      /cannot convert USD/,
    );
  });
});
