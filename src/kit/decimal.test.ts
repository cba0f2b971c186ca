import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  compare,
  type Decimal,
  DecimalSyntaxError,
  decimal,
  decimalOf,
  divide,
  formatDecimal,
  isDecimalText,
  multiply,
  negate,
  type RoundingMode,
  round,
  subtract,
  sumOf,
  toBigInt,
} from "./decimal.ts";

/** Any number that a price or an event can hold, as whole units and digits after the point. */
const parts = fc.tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat({ max: 18 }));
const textOf = ([units, scale]: [bigint, number]) => {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const fraction = scale > 0 ? `.${digits.slice(digits.length - scale)}` : "";
  return `${units < 0n ? "-" : ""}${whole}${fraction}`;
};
const any = parts
  .filter(([units, scale]) => (units < 0n ? -units : units) < 10n ** BigInt(scale + 20))
  .map(textOf);

/** The same arithmetic on whole numbers, at a scale that holds both. */
const scaled = (text: string, scale: number): bigint => {
  const [whole = "", fraction = ""] = text.replace("-", "").split(".");
  const value = BigInt(whole + fraction.padEnd(scale, "0"));
  return text.startsWith("-") ? -value : value;
};

describe("exact numbers", () => {
  test("text survives, but for zeros that mean nothing", () => {
    fc.assert(
      fc.property(any, (text) => {
        const back = formatDecimal(decimal(text));
        expect(scaled(back, 20)).toBe(scaled(text, 20));
        expect(back).not.toMatch(/e|\.\d*0$|^-0$/i);
      }),
    );
  });

  test("sums, differences and products are those of whole numbers", () => {
    fc.assert(
      fc.property(any, any, (a, b) => {
        expect(scaled(formatDecimal(add(decimal(a), decimal(b))), 20)).toBe(
          scaled(a, 20) + scaled(b, 20),
        );
        expect(scaled(formatDecimal(subtract(decimal(a), decimal(b))), 20)).toBe(
          scaled(a, 20) - scaled(b, 20),
        );
        expect(scaled(formatDecimal(multiply(decimal(a), decimal(b))), 40)).toBe(
          scaled(a, 20) * scaled(b, 20),
        );
        const order = scaled(a, 20) - scaled(b, 20);
        expect(Math.sign(compare(decimal(a), decimal(b)))).toBe(
          order < 0n ? -1 : order > 0n ? 1 : 0,
        );
      }),
    );
  });

  test("a sum does not depend on the order", () => {
    fc.assert(
      fc.property(fc.array(any, { maxLength: 20 }), (texts) => {
        const values = texts.map(decimal);
        expect(formatDecimal(sumOf(values))).toBe(formatDecimal(sumOf(values.toReversed())));
      }),
    );
  });

  test("what is multiplied can be divided again", () => {
    fc.assert(
      fc.property(any, any, (a, b) => {
        fc.pre(!decimal(b).isZero());
        const back = divide(multiply(decimal(a), decimal(b)), decimal(b));
        expect(formatDecimal(back)).toBe(formatDecimal(decimal(a)));
      }),
    );
  });

  test("one third has a hundred digits and not one of them is a guess", () => {
    expect(formatDecimal(divide(decimal("1"), decimal("3")))).toBe(`0.${"3".repeat(100)}`);
    expect(() => divide(decimal("1"), decimal("0"))).toThrow(/division by zero/);
  });
});

describe("rounding", () => {
  const modes: RoundingMode[] = ["half_away", "half_even", "up", "down", "ceiling", "floor"];

  test.each<[RoundingMode, string]>([
    // value        -2.5  -1.5  -0.6  -0.5  0.5  0.6  1.5  2.5
    ["half_away", "-3    -2    -1    -1    1    1    2    3"],
    ["half_even", "-2    -2    -1    0     0    1    2    2"],
    ["up", "-3    -2    -1    -1    1    1    2    3"],
    ["down", "-2    -1    0     0     0    0    1    2"],
    ["ceiling", "-2    -1    0     0     1    1    2    3"],
    ["floor", "-3    -2    -1    -1    0    0    1    2"],
  ])("%s", (mode, row) => {
    const values = "-2.5 -1.5 -0.6 -0.5 0.5 0.6 1.5 2.5".split(" ");
    const rounded = values.map((value) => formatDecimal(round(decimal(value), 0, mode)));
    expect(rounded).toEqual(row.split(/ +/));
  });

  test("moves a value by half a unit at most, or by less than one in the directed modes", () => {
    fc.assert(
      fc.property(
        any,
        fc.integer({ min: -6, max: 12 }),
        fc.constantFrom(...modes),
        (text, digits, mode) => {
          const value = decimal(text);
          const rounded = round(value, digits, mode);
          const unit =
            digits >= 0
              ? decimal(`0.${"0".repeat(digits)}1`).times(10)
              : decimal(`1${"0".repeat(-digits)}`);
          const moved = rounded.minus(value).abs();
          if (mode.startsWith("half")) expect(moved.times(2).lessThanOrEqualTo(unit)).toBe(true);
          else expect(moved.lessThan(unit)).toBe(true);
          expect(rounded.dividedBy(unit).isInteger()).toBe(true);
        },
      ),
    );
  });

  test("is symmetric: what is owed one way is owed the other way", () => {
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 10 }), (text, digits) => {
        const value = decimal(text);
        for (const mode of ["half_away", "half_even", "up", "down"] as const) {
          expect(formatDecimal(round(negate(value), digits, mode))).toBe(
            formatDecimal(negate(round(value, digits, mode))),
          );
        }
      }),
    );
  });

  test("rounding twice is rounding once", () => {
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 10 }), (text, digits) => {
        const once = round(decimal(text), digits);
        expect(formatDecimal(round(once, digits))).toBe(formatDecimal(once));
      }),
    );
  });
});

describe("reading", () => {
  test.each([
    "",
    "-",
    ".5",
    "5.",
    "+1",
    "1e3",
    "0x10",
    " 1",
    "1 ",
    "1,000",
    "NaN",
    "Infinity",
    "--1",
    "1.2.3",
    "١",
    "1".repeat(21),
    `0.${"1".repeat(21)}`,
  ])("refuses %j", (text) => {
    expect(isDecimalText(text)).toBe(false);
    expect(() => decimal(text)).toThrow(DecimalSyntaxError);
  });

  test("takes whole numbers that are exact, and no others", () => {
    expect(formatDecimal(decimalOf(9007199254740991))).toBe("9007199254740991");
    expect(formatDecimal(decimalOf(10n ** 30n))).toBe(`1${"0".repeat(30)}`);
    for (const value of [0.1, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      expect(() => decimalOf(value)).toThrow(DecimalSyntaxError);
    }
  });

  test("zero has no sign", () => {
    const zeros: Decimal[] = [
      decimal("-0"),
      decimal("-0.00"),
      negate(decimal("0")),
      round(decimal("-0.4"), 0),
      multiply(decimal("-1"), decimal("0")),
      subtract(decimal("-1"), decimal("-1")),
    ];
    expect(zeros.map(formatDecimal)).toEqual(zeros.map(() => "0"));
    expect(toBigInt(decimal("-0"))).toBe(0n);
  });

  test("whole numbers leave as bigint, others do not", () => {
    expect(toBigInt(decimal("-12345678901234567890"))).toBe(-12345678901234567890n);
    expect(() => toBigInt(decimal("0.5"))).toThrow(/not a whole number/);
  });
});
