/**
 * Exact fractions of whole numbers. The verifier's own arithmetic: it shares nothing with `kit/decimal.ts`, so that a
 * mistake there cannot hide from the check.
 */
export type Rational = { readonly n: bigint; readonly d: bigint };

export const rational = (n: bigint, d = 1n): Rational => {
  if (d === 0n) throw new RangeError("division by zero");
  if (d === 1n) return { n, d };
  const sign = d < 0n ? -1n : 1n;
  const shared = gcd(n < 0n ? -n : n, d * sign);
  return { n: (n * sign) / shared, d: (d * sign) / shared };
};

const gcd = (a: bigint, b: bigint): bigint => {
  while (b !== 0n) [a, b] = [b, a % b];
  return a === 0n ? 1n : a;
};

export const nought = rational(0n);

/** Read plain digits with an optional fraction, or a whole number. */
export function fraction(text: unknown): Rational {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(
    typeof text === "number" ? text.toString() : typeof text === "string" ? text : "",
  );
  if (!match) throw new TypeError(`${JSON.stringify(text)} is not a decimal number`);
  const [, sign, whole = "", after = ""] = match;
  const n = BigInt(whole + after);
  return rational(sign ? -n : n, 10n ** BigInt(after.length));
}

export const plus = (a: Rational, b: Rational) => rational(a.n * b.d + b.n * a.d, a.d * b.d);
export const less = (a: Rational, b: Rational) => rational(a.n * b.d - b.n * a.d, a.d * b.d);
export const times = (a: Rational, b: Rational) => rational(a.n * b.n, a.d * b.d);
export const over = (a: Rational, b: Rational) => rational(a.n * b.d, a.d * b.n);
export const opposite = (a: Rational): Rational => ({ n: -a.n, d: a.d });
export const isBelow = (a: Rational, b: Rational) => a.n * b.d < b.n * a.d;
export const isNought = (a: Rational) => a.n === 0n;
export const smaller = (a: Rational, b: Rational) => (isBelow(b, a) ? b : a);
export const larger = (a: Rational, b: Rational) => (isBelow(a, b) ? b : a);
export const total = (values: readonly Rational[]) => values.reduce(plus, nought);

/** The largest whole number not above. */
export function floor({ n, d }: Rational): bigint {
  const quotient = n / d;
  return n % d !== 0n && n < 0n ? quotient - 1n : quotient;
}

export const ceiling = (a: Rational): bigint => -floor(opposite(a));

/** The nearest whole number, halves away from zero. */
export const nearest = ({ n, d }: Rational): bigint =>
  n < 0n ? -floor(rational(-n * 2n + d, d * 2n)) : floor(rational(n * 2n + d, d * 2n));

/** Digits with a fraction as long as it must be; undefined when it would never end. */
export function textOf({ n, d }: Rational): string | undefined {
  let digits = 0;
  let scale = 1n;
  while (scale % d !== 0n) {
    if (digits > 400) return undefined;
    digits += 1;
    scale *= 10n;
  }
  const size = ((n < 0n ? -n : n) * (scale / d)).toString().padStart(digits + 1, "0");
  const whole = size.slice(0, size.length - digits);
  return `${n < 0n ? "-" : ""}${whole}${digits > 0 ? `.${size.slice(-digits)}` : ""}`;
}
