import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aFee, aSubscription, on, seats, someTerms, usd, v1 } from "../../../test/harness/plans.ts";
import { add, decimal, decimalOf, divide, formatDecimal, round, sumOf } from "../../kit/decimal.ts";
import { formatMoney, toMoney } from "../../kit/money.ts";
import { day, type Instant, shift } from "../../kit/time.ts";
import { prorationUnits } from "../catalog/index.ts";
import { change, type Change } from "./change.ts";
import { chargesOf, chargedByCause, difference, type Charge } from "./charges.ts";
import { previewChange } from "./preview.ts";
import { portion, shareOf, splitByShares } from "./proration.ts";
import type { Subscription } from "./subscription.ts";

const terms = someTerms({
  basic: [aFee("BASIC", "50.00")],
  professional: [aFee("PROFESSIONAL", "200.00")],
  team: [aFee("TEAM", "20.00"), aFee("SEAT", "10.00", { per: "unit" })],
  sso: [aFee("SSO", "15.00")],
  arrears: [aFee("ARREARS", "30.00", { timing: "in_arrears" })],
  setup: [aFee("SETUP", "10.00", { kind: "one_time" }), aFee("MONTHLY", "5.00")],
});

const changed = (subscription: Subscription, wanted: Change, at: string): Subscription => {
  const decision = change(subscription, wanted, on(at));
  if (decision.kind === "refused") throw new Error(decision.detail);
  return decision.subscription;
};
const toPlan = (plan: string, rest = {}): Change => ({
  kind: "change_plan",
  plan: v1(plan),
  cadence: "month",
  restartCycle: false,
  when: { kind: "now" },
  ...rest,
});
const paper = (charges: readonly Charge[]) =>
  charges.map((charge) => `${charge.sku} ${formatMoney(toMoney(charge.amount, usd))}`);
const total = (charges: readonly Charge[]) =>
  formatMoney(
    toMoney(sumOf([...chargedByCause(charges).values()].map((m) => decimal(formatMoney(m)))), usd),
  );

describe("Basic to Professional on 2025-01-11", () => {
  const basic = aSubscription("basic", "2025-01-01");
  const upgraded = changed(basic, toPlan("professional"), "2025-01-11");

  test("costs 10/31 of one and 21/31 of the other: 16.13 + 135.48 = 151.61", () => {
    const charges = chargesOf(upgraded, terms, on("2025-01-31"));
    expect(paper(charges)).toEqual(["BASIC 16.13", "PROFESSIONAL 135.48"]);
    expect(total(charges)).toBe("151.61");
  });

  test("shares of the month add up to exactly one", () => {
    const shares = chargesOf(upgraded, terms, on("2025-01-31")).flatMap((charge) =>
      charge.segments.map((segment) => segment.share),
    );
    expect(shares.reduce((sum, share) => sum + share.part, 0)).toBe(shares[0]?.whole);
  });

  test("what was paid in advance is taken off: the old and the new stand as separate lines", () => {
    const preview = previewChange(basic, toPlan("professional"), terms, on("2025-01-11"));
    expect(preview.kind).toBe("changed");
    if (preview.kind === "refused") return;
    expect(formatMoney(preview.effect.credit)).toBe("-33.87");
    expect(formatMoney(preview.effect.charge)).toBe("135.48");
    expect(preview.subscription).toEqual(upgraded);
  });

  test("February is Professional alone", () => {
    const february = chargesOf(upgraded, terms, on("2025-02-01")).filter(
      (charge) => charge.period.startsAt === on("2025-02-01"),
    );
    expect(paper(february)).toEqual(["PROFESSIONAL 200.00"]);
  });
});

test("cancelling Basic on day 16 of 30 leaves 25.00", () => {
  const cancelled = changed(
    aSubscription("basic", "2025-04-01"),
    { kind: "cancel", when: { kind: "now" } },
    "2025-04-16",
  );
  expect(paper(chargesOf(cancelled, terms, on("2025-06-01")))).toEqual(["BASIC 25.00"]);
});

test("cancelling at the period's end costs nothing more and gives nothing back", () => {
  const preview = previewChange(
    aSubscription("basic", "2025-04-01"),
    { kind: "cancel", when: { kind: "period_end" } },
    terms,
    on("2025-04-16"),
  );
  expect(preview.kind === "changed" && preview.effect.lines).toEqual([]);
});

test("a feature enabled on day 16 of 30 costs half", () => {
  const withSso = changed(
    aSubscription("basic", "2025-04-01"),
    { kind: "add_add_on", addOn: v1("sso"), when: { kind: "now" } },
    "2025-04-16",
  );
  expect(paper(chargesOf(withSso, terms, on("2025-04-16")))).toEqual(["BASIC 50.00", "SSO 7.50"]);
});

test("a seat added in the middle of the month is rounded once with the others", () => {
  const grown = changed(
    aSubscription("team", "2025-04-01", { quantities: seats("5") }),
    { kind: "set_quantity", sku: "SEAT", quantity: decimal("8"), when: { kind: "now" } },
    "2025-04-16",
  );
  const charges = chargesOf(grown, terms, on("2025-04-30"));
  expect(paper(charges)).toEqual(["TEAM 20.00", "SEAT 65.00"]);
  expect(charges[1]?.segments).toHaveLength(2);
});

test("paused time costs nothing, and the rhythm goes on afterwards", () => {
  const paused = changed(
    aSubscription("basic", "2025-04-01"),
    { kind: "pause", until: on("2025-05-16") },
    "2025-04-16",
  );
  expect(paper(chargesOf(paused, terms, on("2025-06-01")))).toEqual([
    "BASIC 25.00",
    "BASIC 25.81",
    "BASIC 50.00",
  ]);
});

test("a trial is free; the days that are left of the month are not", () => {
  const trial = aSubscription("basic", "2025-04-01", { trialDays: 15 });
  expect(paper(chargesOf(trial, terms, on("2025-04-15")))).toEqual([]);
  expect(paper(chargesOf(trial, terms, on("2025-04-30")))).toEqual(["BASIC 25.00"]);
});

test("in arrears, a period is due when it is over", () => {
  const subscription = aSubscription("arrears", "2025-04-01");
  expect(chargesOf(subscription, terms, (on("2025-05-01") - 1) as Instant)).toEqual([]);
  expect(paper(chargesOf(subscription, terms, on("2025-05-01")))).toEqual(["ARREARS 30.00"]);
});

test("a setup fee is charged once, whatever the plan does later", () => {
  const subscription = changed(
    changed(aSubscription("setup", "2025-04-01"), { kind: "pause", until: null }, "2025-05-11"),
    { kind: "resume" },
    "2025-06-01",
  );
  const setups = chargesOf(subscription, terms, on("2025-08-01")).filter(
    (charge) => charge.sku === "SETUP",
  );
  expect(paper(setups)).toEqual(["SETUP 10.00"]);
});

test("without a credit for unused time, the old plan is charged whole", () => {
  const keep = someTerms(
    { basic: [aFee("BASIC", "50.00")], professional: [aFee("PROFESSIONAL", "200.00")] },
    { proration: { creditUnused: false } },
  );
  const upgraded = changed(
    aSubscription("basic", "2025-01-01"),
    toPlan("professional"),
    "2025-01-11",
  );
  expect(paper(chargesOf(upgraded, keep, on("2025-01-31")))).toEqual([
    "BASIC 50.00",
    "PROFESSIONAL 135.48",
  ]);
});

describe("laws", () => {
  const anyDay = fc.integer({ min: 1, max: 59 });
  const anyChange: fc.Arbitrary<Change> = fc.oneof(
    fc.constantFrom<Change>(
      toPlan("professional"),
      toPlan("team"),
      toPlan("basic", { when: { kind: "period_end" } }),
      { kind: "pause", until: null },
      { kind: "resume" },
      { kind: "cancel", when: { kind: "now" } },
      { kind: "cancel", when: { kind: "period_end" } },
      { kind: "undo_cancel" },
      { kind: "undo_change" },
      { kind: "add_add_on", addOn: v1("sso"), when: { kind: "now" } },
      { kind: "remove_add_on", addOn: "sso", when: { kind: "now" } },
    ),
    fc.integer({ min: 0, max: 9 }).map(
      (count): Change => ({
        kind: "set_quantity",
        sku: "SEAT",
        quantity: decimalOf(count),
        when: { kind: "now" },
      }),
    ),
  );
  const anyHistory = fc.array(fc.tuple(anyDay, anyChange), { maxLength: 6 });

  const play = (history: readonly (readonly [number, Change])[]) => {
    let subscription = aSubscription("basic", "2025-01-01");
    for (const [days, wanted] of history.toSorted(([a], [b]) => a - b)) {
      const decision = change(subscription, wanted, shift(on("2025-01-01"), days * day));
      if (decision.kind === "changed") subscription = decision.subscription;
    }
    return subscription;
  };

  test("any history: no share is counted twice, and nobody pays for more than the time there is", () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        for (const charge of chargesOf(play(history), terms, on("2025-06-01"))) {
          const used = charge.segments.reduce((sum, { share }) => sum + share.part, 0);
          expect(used).toBeLessThanOrEqual(charge.segments[0]?.share.whole ?? 0);
          charge.segments.slice(1).forEach((next, i) => {
            expect(next.period.startsAt).toBeGreaterThanOrEqual(
              charge.segments[i]?.period.endsAt ?? 0,
            );
          });
        }
      }),
    );
  });

  test("the preview is the act: its money is what the books then move by", () => {
    fc.assert(
      fc.property(anyHistory, anyDay, anyChange, (history, days, wanted) => {
        const before = play(history.filter(([at]) => at <= days));
        const now = shift(on("2025-01-01"), days * day);
        const preview = previewChange(before, wanted, terms, now);
        if (preview.kind === "refused" || preview.effectiveAt > now) return;
        const moved = difference(
          chargedByCause(chargesOf(preview.subscription, terms, now)),
          chargedByCause(chargesOf(before, terms, now)),
        );
        expect(new Map(preview.effect.lines.map((l) => [l.charge.cause, l.amount]))).toEqual(moved);
      }),
    );
  });

  test("any cut of a period into slices prorates to the whole, by every way of counting that adds up", () => {
    const month = { startsAt: on("2025-03-01"), endsAt: on("2025-04-01") };
    const anyCuts = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 8 });
    const additive = prorationUnits.filter((unit) => unit === "second" || unit === "day");
    fc.assert(
      fc.property(
        anyCuts,
        fc.constantFrom(...additive),
        fc.integer({ min: 1, max: 99999 }),
        (cuts, unit, cents) => {
          const marks = [0, ...cuts.toSorted((a, b) => a - b), 31].map((days) =>
            shift(month.startsAt, days * day),
          );
          const shares = marks
            .slice(1)
            .map((endsAt, i) =>
              shareOf(unit, { startsAt: marks[i] as Instant, endsAt }, month, "UTC"),
            );
          expect(shares.reduce((sum, share) => sum + share.part, 0)).toBe(shares[0]?.whole);
          const price = divide(decimalOf(cents), decimalOf(100));
          const parts = splitByShares(price, shares, usd);
          expect(parts.reduce((sum, part) => sum + part.minor, 0n)).toBe(BigInt(cents));
          const exact = shares.map((share) => portion(price, share)).reduce(add);
          expect(formatDecimal(round(exact, 60))).toBe(formatDecimal(price));
        },
      ),
    );
  });
});
