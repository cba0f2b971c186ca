import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatInstant, type Instant, instant, type Period } from "../../kit/time.ts";
import {
  mayChangePayer,
  paidFor,
  paidWithin,
  type Payable,
  payerAt,
  payerBook,
  type PayerChange,
  stretchesOf,
} from "./payers.ts";

const january: Period = {
  startsAt: instant("2025-01-01T00:00:00Z"),
  endsAt: instant("2025-02-01T00:00:00Z"),
};
const change = (account: string, from: string, payer: string | null, version = 1): PayerChange => ({
  account,
  version,
  effectiveFrom: instant(from),
  payer,
});
const dates = (periods: readonly Period[]) =>
  periods.map(
    (one) =>
      `${formatInstant(one.startsAt).slice(0, 10)} ${formatInstant(one.endsAt).slice(0, 10)}`,
  );

describe("who is asked for an account's money", () => {
  test("itself, then a parent, then who pays for the parent; each for its stretch of the month", () => {
    const book = payerBook([
      change("child", "2025-01-11T00:00:00Z", "parent"),
      change("parent", "2025-01-21T00:00:00Z", "top"),
    ]);
    const stretches = stretchesOf(book, "child");
    expect(stretches.map((one) => one.payer)).toEqual(["child", "parent", "top"]);
    expect(dates(paidWithin(stretches, "child", january))).toEqual(["2025-01-01 2025-01-11"]);
    expect(dates(paidWithin(stretches, "parent", january))).toEqual(["2025-01-11 2025-01-21"]);
    expect(dates(paidWithin(stretches, "top", january))).toEqual(["2025-01-21 2025-02-01"]);
    expect(paidFor(book, "top", january.endsAt)).toEqual(["child", "parent"]);
    expect(paidFor(book, "top", instant("2025-01-15T00:00:00Z"))).toEqual([]);
  });

  test("what is said later replaces what was said before from its own moment on", () => {
    const book = payerBook([
      change("child", "2025-03-01T00:00:00Z", "a"),
      change("child", "2025-02-01T00:00:00Z", "b", 2),
    ]);
    expect(stretchesOf(book, "child").map((one) => one.payer)).toEqual(["child", "b"]);
  });

  const names = ["a", "b", "c", "d"] as const;
  const anyChange = fc.record({
    account: fc.constantFrom(...names),
    version: fc.integer({ min: 1, max: 9 }),
    effectiveFrom: fc
      .integer({ min: 0, max: 31 })
      .map((n) => (january.startsAt + n * 86_400_000_000) as Instant),
    payer: fc.option(fc.constantFrom(...names)),
  });

  test("every moment of every account has exactly one payer, whatever was recorded", () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 12 }), (changes) => {
        const book = payerBook(changes);
        for (const account of names) {
          const stretches = stretchesOf(book, account);
          const parts = names.flatMap((payer) => paidWithin(stretches, payer, january));
          const length = parts.reduce((sum, one) => sum + one.endsAt - one.startsAt, 0);
          expect(length).toBe(january.endsAt - january.startsAt);
          for (const part of parts)
            expect(paidWithin(stretches, payerAt(book, account, part.startsAt), part)).toEqual([
              part,
            ]);
        }
      }),
    );
  });
});

describe("who may pay", () => {
  const payable = (ref: string, over: Partial<Payable> = {}): Payable => ({
    ref,
    currency: "USD",
    status: "ready",
    timeZone: "UTC",
    invoiceDay: 1,
    cycle: "month",
    legalEntity: "main",
    ...over,
  });
  const at = instant("2025-01-16T00:00:00Z");
  const decide = (
    payer: Payable | null,
    changes: PayerChange[] = [],
    billedUntil: Instant | null = null,
  ) =>
    mayChangePayer({ account: payable("child"), payer, book: payerBook(changes), billedUntil }, at);

  test("an account of the same money and the same periods", () => {
    expect(decide(payable("parent"))).toBeNull();
    expect(decide(payable("parent", { currency: "EUR" }))).toBe("account_parent_currency");
    expect(decide(payable("parent", { timeZone: "Asia/Tokyo" }))).toBe("account_periods_differ");
    expect(decide(payable("parent", { legalEntity: "uk" }))).toBe("account_periods_differ");
    expect(decide(payable("parent", { status: "archived" }))).toBe("account_archived");
  });

  test("never in a circle, also not one that closes only later, and never more than four deep", () => {
    expect(decide(payable("parent"), [change("parent", "2025-01-01T00:00:00Z", "child")])).toBe(
      "account_parent_circle",
    );
    expect(decide(payable("parent"), [change("parent", "2025-06-01T00:00:00Z", "child")])).toBe(
      "account_parent_circle",
    );
    expect(decide(payable("child"))).toBe("account_parent_circle");
    const chain = [
      change("parent", "2025-01-01T00:00:00Z", "p2"),
      change("p2", "2025-01-01T00:00:00Z", "p3"),
    ];
    expect(decide(payable("parent"), chain)).toBeNull();
    expect(decide(payable("parent"), [...chain, change("p3", "2025-02-01T00:00:00Z", "p4")])).toBe(
      "account_parent_too_deep",
    );
  });

  test("from a full quarter of an hour on, after what documents charged", () => {
    expect(decide(payable("parent"), [], january.endsAt)).toBe("payer_change_too_late");
    expect(decide(payable("parent"), [], january.startsAt)).toBeNull();
    expect(
      mayChangePayer(
        { account: payable("child"), payer: null, book: payerBook([]), billedUntil: null },
        (at + 1) as Instant,
      ),
    ).toBe("payer_change_unaligned");
  });
});
