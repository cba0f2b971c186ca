import { describe, expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { decimal } from "../../kit/decimal.ts";
import { parseMoney } from "../../kit/money.ts";
import { type Instant, instant } from "../../kit/time.ts";
import {
  checkEntitlement,
  checkQuota,
  commit,
  type EntitlementFacts,
  hold,
  isHolding,
  type Quota,
} from "./index.ts";

const usd = (text: string) => parseMoney(text, currency("USD"));
const now = instant("2025-01-10T10:20:00Z");
const hourly: Quota = {
  key: "requests",
  limit: 5000,
  window: "hour",
  enforcement: "hard",
  burst: 0,
  softUpTo: null,
  graceHours: 24,
};
const use = { used: 4999, held: 0, exceededAt: null };
const ask = (quota: Quota, used: Partial<typeof use>, quantity = 1, at: Instant = now) =>
  checkQuota(quota, [], { ...use, ...used }, quantity, at, "UTC");

describe("a quota", () => {
  test("5,000 an hour: the 5,000th passes, the 5,001st is refused with the time of the next (R-088)", () => {
    expect(ask(hourly, {}).allowed).toBe(true);
    expect(ask(hourly, { used: 5000 })).toMatchObject({
      allowed: false,
      reason: "limit_reached",
      remaining: 0,
      resetsAt: instant("2025-01-10T11:00:00Z"),
    });
  });

  test("counts the size of what is asked, not only what is used (R-089)", () => {
    const storage = { ...hourly, window: "none" as const, limit: decimal("1") };
    expect(ask(storage, { used: decimal("0.99") as never }, decimal("0.02") as never).allowed).toBe(
      false,
    );
    expect(ask(storage, { used: decimal("0.99") as never }, 0).resetsAt).toBeNull();
  });

  test("held units take room like used ones", () => {
    expect(ask(hourly, { used: 0, held: 5000 }).allowed).toBe(false);
  });

  test("soft: 105 % for 24 hours of grace, flagged; then refused (R-090)", () => {
    const soft = { ...hourly, enforcement: "soft" as const, softUpTo: 5250 };
    expect(ask(soft, { used: 5200 })).toMatchObject({
      allowed: true,
      reason: "within_grace",
      flagged: true,
    });
    expect(ask(soft, { used: 5250 }).reason).toBe("limit_reached");
    const since = { used: 5100, exceededAt: instant("2025-01-09T10:20:00Z") as never };
    expect(ask(soft, since).reason).toBe("grace_over");
  });

  test("burst adds room for a peak", () => {
    expect(ask({ ...hourly, burst: 100 }, { used: 5099 }).reason).toBe("within_burst");
    expect(ask({ ...hourly, burst: 100 }, { used: 5100 }).allowed).toBe(false);
  });

  test("a granted increase holds until its end and not a moment longer (R-093)", () => {
    const endsAt = instant("2025-01-17T00:00:00Z");
    const overrides = [{ limit: 8000, startsAt: now, endsAt }];
    const at = (when: Instant) =>
      checkQuota(hourly, overrides, { ...use, used: 6000 }, 1, when, "UTC").allowed;
    expect([at(now), at((endsAt - 1) as Instant), at(endsAt)]).toEqual([true, true, false]);
  });
});

describe("may I?", () => {
  const facts: EntitlementFacts = {
    feature: "sms",
    quantity: 100,
    suspended: false,
    entitled: true,
    quota: null,
    units: { available: 1000, held: 0 },
    costBeyond: null,
    creditOnly: false,
    credit: null,
    cap: null,
  };
  const units = { available: 50, held: 0 };
  test.each<[string, Partial<EntitlementFacts>, boolean, string]>([
    ["yes, from the batch", {}, true, "entitled"],
    ["yes, a boolean feature", { feature: "sso", units: null, quantity: 1 }, true, "entitled"],
    ["no, the account is suspended", { suspended: true }, false, "account_suspended"],
    ["no, nothing gives this right", { entitled: false }, false, "not_entitled"],
    [
      "no, reservations hold the rest",
      { units: { available: 1000, held: 950 } },
      false,
      "no_units_left",
    ],
    [
      "yes, beyond the batch there is a price",
      { units, costBeyond: decimal("3") },
      true,
      "entitled",
    ],
    [
      "no, credit only and too little credit",
      { units, costBeyond: decimal("3.01"), creditOnly: true, credit: usd("3.00") },
      false,
      "no_credit_left",
    ],
    [
      "no, credit only and no credit at all",
      { units, costBeyond: decimal("3"), creditOnly: true },
      false,
      "no_credit_left",
    ],
    [
      "yes, credit only with just enough",
      { units, costBeyond: decimal("3"), creditOnly: true, credit: usd("3.00") },
      true,
      "entitled",
    ],
    [
      "no, the cap would be passed",
      {
        units,
        costBeyond: decimal("3"),
        cap: { limit: usd("500.00"), spent: usd("497.00"), held: usd("0.01") },
      },
      false,
      "spend_cap_reached",
    ],
    [
      "yes, exactly up to the cap",
      {
        units,
        costBeyond: decimal("3"),
        cap: { limit: usd("500.00"), spent: usd("497.00"), held: usd("0.00") },
      },
      true,
      "entitled",
    ],
  ])("%s", (_, changes, allowed, reason) => {
    const answer = checkEntitlement({ ...facts, ...changes });
    expect(answer).toMatchObject({ allowed, reason });
    expect(answer.because.length).toBeGreaterThan(5);
  });
});

describe("reservations", () => {
  const held = {
    id: "rsv_1",
    quantity: 100,
    status: "held" as const,
    expiresAt: (now + 60e6) as Instant,
  };
  test("hold what is free, whole or as far as it goes", () => {
    expect(hold(60, 60)).toEqual({ kind: "held", quantity: 60 });
    expect(hold(61, 60)).toEqual({ kind: "refused", available: 60 });
    expect(hold(61, 60, "up_to")).toEqual({ kind: "held", quantity: 60 });
    expect(hold(1, -5)).toEqual({ kind: "refused", available: 0 });
  });
  test("are committed with the true size: less releases, more goes beyond", () => {
    expect(commit(held, 70, now)).toMatchObject({ used: 70, released: 30, beyond: 0 });
    expect(commit(held, 130, now)).toMatchObject({ used: 130, released: 0, beyond: 30 });
  });
  test("end at their time by themselves", () => {
    expect(isHolding(held, (held.expiresAt - 1) as Instant)).toBe(true);
    expect(isHolding(held, held.expiresAt)).toBe(false);
    expect(commit(held, 1, held.expiresAt)).toEqual({ kind: "refused", reason: "timed_out" });
    expect(commit({ ...held, status: "released" }, 1, now)).toEqual({
      kind: "refused",
      reason: "released",
    });
  });
  test("the same commit again changes nothing, another size is refused", () => {
    const done = { ...held, status: "committed" as const, committed: 70 };
    expect(commit(done, 70, now)).toEqual({ kind: "repeated" });
    expect(commit(done, 71, now)).toEqual({ kind: "refused", reason: "other_size" });
  });
});
