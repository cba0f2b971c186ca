import fc from "fast-check";
import { expect, test } from "vitest";
import { allocate } from "./allocate.ts";
import { currency } from "./currency.ts";
import { decimal, decimalOf, divide, isZero, multiply, subtract, sumOf } from "./decimal.ts";
import { money, sumMoney } from "./money.ts";

const eur = currency("EUR");
const weights = fc.array(
  fc.tuple(fc.nat({ max: 10_000 }), fc.nat({ max: 999 })).map(([a, b]) => decimal(`${a}.${b}`)),
  { minLength: 1, maxLength: 40 },
);
const minor = fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n });

test("the parts equal the whole", () => {
  fc.assert(
    fc.property(minor, weights, (total, by) => {
      expect(sumMoney(eur, allocate(money(eur, total), by))).toEqual(money(eur, total));
    }),
  );
});

test("each part is less than one minor unit from its exact share", () => {
  fc.assert(
    fc.property(minor, weights, (total, by) => {
      const given = sumOf(by);
      const shares = isZero(given) ? by.map(() => decimalOf(1)) : by;
      const whole = sumOf(shares);
      allocate(money(eur, total), by).forEach((part, index) => {
        const exact = divide(multiply(decimalOf(total), shares[index] ?? decimalOf(0)), whole);
        expect(subtract(decimalOf(part.minor), exact).abs().lessThan(1)).toBe(true);
      });
    }),
  );
});

test("a heavier weight never gets less, and no weight gets nothing", () => {
  fc.assert(
    fc.property(minor, weights, (total, by) => {
      const size = (value: bigint) => (value < 0n ? -value : value);
      const parts = allocate(money(eur, total), by).map((part) => size(part.minor));
      for (let i = 0; i < by.length; i++) {
        for (let j = 0; j < by.length; j++) {
          const [a, b] = [by[i], by[j]];
          if (a && b && a.greaterThan(b)) expect((parts[i] ?? 0n) >= (parts[j] ?? 0n)).toBe(true);
        }
        if (by[i]?.isZero() && !isZero(sumOf(by))) expect(parts[i]).toBe(0n);
      }
    }),
  );
});

test("what is taken back is split as what was given", () => {
  fc.assert(
    fc.property(minor, weights, (total, by) => {
      const given = allocate(money(eur, total), by).map((part) => part.minor);
      const taken = allocate(money(eur, -total), by).map((part) => -part.minor);
      expect(taken.map((value) => value + 0n)).toEqual(given);
    }),
  );
});

test("ties go to the earlier part", () => {
  const thirds = allocate(money(eur, 100n), [decimalOf(1), decimalOf(1), decimalOf(1)]);
  expect(thirds.map((part) => part.minor)).toEqual([34n, 33n, 33n]);
  const alike = allocate(money(eur, 2n), [decimalOf(0), decimalOf(0), decimalOf(0)]);
  expect(alike.map((part) => part.minor)).toEqual([1n, 1n, 0n]);
});

test("no weights, or one below zero, is refused", () => {
  expect(() => allocate(money(eur, 1n), [])).toThrow(/no weights/);
  expect(() => allocate(money(eur, 1n), [decimalOf(2), decimalOf(-1)])).toThrow(/below zero/);
});
