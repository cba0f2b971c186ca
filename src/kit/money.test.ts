import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Currency, currency, currencyCodes, isCurrency, minorDigits } from "./currency.ts";
import { decimal, multiply, negate } from "./decimal.ts";
import {
  CurrencyMismatchError,
  compareMoney,
  formatMoney,
  isPostable,
  minus,
  money,
  negated,
  nothing,
  parseMoney,
  plus,
  sumMoney,
  toDecimal,
  toMoney,
} from "./money.ts";

const anyCurrency = fc.constantFrom<Currency>(...currencyCodes);
const anyMinor = fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n });
const anyMoney = fc.tuple(anyCurrency, anyMinor).map(([code, minor]) => money(code, minor));
const usd = currency("USD");

describe("money", () => {
  test("survives its text, in every currency", () => {
    fc.assert(
      fc.property(anyMoney, (value) => {
        expect(parseMoney(formatMoney(value), value.currency)).toEqual(value);
        expect(toMoney(toDecimal(value), value.currency)).toEqual(value);
        const fraction = formatMoney(value).split(".")[1] ?? "";
        expect(fraction).toHaveLength(minorDigits(value.currency));
      }),
    );
  });

  test.each([
    ["USD", 1230n, "12.30"],
    ["USD", -5n, "-0.05"],
    ["JPY", 1235n, "1235"],
    ["KWD", 5n, "0.005"],
    ["CLF", -1n, "-0.0001"],
    ["USD", 0n, "0.00"],
  ])("%s %s is written %s", (code, minor, text) => {
    expect(formatMoney(money(currency(code), minor))).toBe(text);
  });

  test("enters through one door, half away from zero, the same way up and down", () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat({ max: 999_999 }), anyCurrency, (whole, fraction, code) => {
        const amount = decimal(`${whole}.${fraction.toString().padStart(6, "0")}`);
        expect(toMoney(negate(amount), code)).toEqual(negated(toMoney(amount, code)));
      }),
    );
    expect(toMoney(decimal("0.005"), usd)).toEqual(money(usd, 1n));
    expect(toMoney(decimal("-0.005"), usd)).toEqual(money(usd, -1n));
    expect(toMoney(decimal("0.00499999999999999999"), usd)).toEqual(nothing(usd));
    expect(toMoney(decimal("0.005"), usd, "half_even")).toEqual(nothing(usd));
  });

  test("more digits than the currency has are refused, not rounded away", () => {
    expect(() => parseMoney("1.005", usd)).toThrow(/more digits than USD allows/);
    expect(() => parseMoney("0.5", currency("JPY"))).toThrow(/more digits than JPY allows/);
    expect(parseMoney("1.500", usd)).toEqual(money(usd, 150n));
  });

  test("adds up in any order and comes back by subtraction", () => {
    fc.assert(
      fc.property(anyCurrency, fc.array(anyMinor), anyMinor, (code, minors, one) => {
        const amounts = minors.map((minor) => money(code, minor));
        const total = sumMoney(code, amounts);
        expect(sumMoney(code, amounts.toReversed())).toEqual(total);
        expect(minus(plus(total, money(code, one)), money(code, one))).toEqual(total);
        expect(plus(total, negated(total))).toEqual(nothing(code));
        expect(Math.sign(compareMoney(total, nothing(code)))).toBe(Math.sign(Number(total.minor)));
      }),
    );
  });

  test("of two currencies does not mix", () => {
    const eur = money(currency("EUR"), 1n);
    for (const mix of [plus, minus, compareMoney]) {
      expect(() => mix(money(usd, 1n), eur)).toThrow(CurrencyMismatchError);
    }
    expect(() => sumMoney(usd, [eur])).toThrow(/convert with a recorded rate first/);
  });

  test("a price is rounded once, after multiplying", () => {
    const line = multiply(decimal("2.5"), decimal("697.57"));
    expect(formatMoney(toMoney(line, currency("EUR")))).toBe("1743.93");
  });
});

describe("currencies", () => {
  test("are sorted, unique, of three capitals", () => {
    expect(currencyCodes).toEqual([...new Set(currencyCodes)].toSorted());
    expect(currencyCodes.filter((code) => !/^[A-Z]{3}$/.test(code))).toEqual([]);
    expect(currencyCodes.length).toBeGreaterThan(150);
  });

  test.each(["usd", "US", "EURO", "", "HRK", "XAU", "XXX", "XTS", "toString", "__proto__"])(
    "%j is not one",
    (code) => {
      expect(isCurrency(code)).toBe(false);
      expect(() => currency(code)).toThrow(/ISO 4217/);
    },
  );
});

test("amounts of up to 64 bits of minor units can be posted; larger ones are still written without loss", () => {
  const most = money(usd, 2n ** 63n - 1n);
  expect([most, negated(most)].map(isPostable)).toEqual([true, true]);
  const more = plus(most, money(usd, 1n));
  expect([more, negated(more)].map(isPostable)).toEqual([false, false]);
  expect(toMoney(toDecimal(money(usd, 10n ** 30n)), usd).minor).toBe(10n ** 30n);
});
