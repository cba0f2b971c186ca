import { describe, expect, test } from "vitest";
import { decimal, zero } from "../../kit/decimal.ts";
import { aFee, aVersion } from "../../../test/harness/plans.ts";
import type { Catalog, PlanUsage, PlanVersion } from "../catalog/index.ts";
import { exceededBy, isEntitled, type RightFacts, rightsOf, skusSoldInPlans } from "./index.ts";

const usage = (sku: string, included: string, beyond: PlanUsage["beyond"]): PlanUsage => ({
  sku,
  included: decimal(included),
  includedLevel: zero,
  beyond,
  prices: [],
});
const quota = (key: string, limit: string, window: "hour" | "none" = "none") => ({
  key,
  limit: decimal(limit),
  window,
  enforcement: "hard" as const,
});
const aPlan = (key: string, version: Partial<PlanVersion>) => ({
  key,
  versions: [{ ...aVersion([]), ...version }],
});
const aSku = (code: string, service: string | null) => ({ code, service });

const catalog = {
  skus: [
    aSku("FEE", "platform"),
    aSku("STORAGE", "platform"),
    aSku("CALLS", "voice"),
    aSku("ALONE", null),
    aSku("SMS", "messaging"),
  ],
  plans: [
    aPlan("basic", {
      fees: [aFee("FEE", "50")],
      usage: [usage("STORAGE", "10", "block")],
      quotas: [quota("users", "50"), quota("requests", "5000", "hour")],
      features: ["standard"],
    }),
    aPlan("seats", { quotas: [quota("users", "10"), quota("requests", "1", "none")] }),
    aPlan("room", { usage: [usage("STORAGE", "5", "block"), usage("ALONE", "0", "charge")] }),
    aPlan("open", { usage: [usage("STORAGE", "0", "charge")] }),
    aPlan("voice", { usage: [usage("CALLS", "0", "charge")] }),
  ],
} as unknown as Catalog;
const rights = (...plans: string[]) =>
  rightsOf(
    catalog,
    plans.map((plan) => ({ plan, version: 1 })),
  );

describe("the rights of plans", () => {
  test("features, and the services of the SKUs that a plan lists", () => {
    expect([...rights("basic").features].toSorted()).toEqual(["platform", "standard"]);
    expect([...rights("basic").skus]).toEqual(["FEE", "STORAGE"]);
    expect([...rights("room").skus]).toContain("ALONE");
  });

  test("quotas of one key and window add up; of another window the first stands", () => {
    const { quotas } = rights("basic", "seats");
    expect(quotas.get("users")).toMatchObject({ limit: 60, window: "none", softUpTo: 63 });
    expect(quotas.get("requests")).toMatchObject({ limit: 5000, window: "hour" });
  });

  test("what is included adds up; refused beyond it only where nothing lets it be charged", () => {
    expect(rights("basic", "room").blocked.get("STORAGE")?.included.toFixed()).toBe("15");
    expect(rights("basic", "open").blocked.has("STORAGE")).toBe(false);
  });

  test("a version that is not there gives nothing", () => {
    expect(rightsOf(catalog, [{ plan: "basic", version: 9 }]).features.size).toBe(0);
  });
});

describe("who may use what", () => {
  const nothing: RightFacts = {
    feature: "sms",
    byHand: null,
    hasQuota: false,
    hasGrants: false,
    priced: "SMS",
    isSoldInBatches: false,
    isSoldInPlans: skusSoldInPlans(catalog).has("SMS"),
    hasPlan: false,
    rights: rights(),
  };
  test.each<[string, Partial<RightFacts>, boolean]>([
    ["what no plan sells is open without a plan", {}, true],
    ["and not to those whose plan lacks it", { hasPlan: true, rights: rights("basic") }, false],
    ["what plans sell is closed without one", { priced: "CALLS", isSoldInPlans: true }, false],
    ["open with it", { priced: "CALLS", hasPlan: true, rights: rights("voice") }, true],
    ["sold in batches: open", { hasPlan: true, isSoldInBatches: true }, true],
    ["batches: open", { hasPlan: true, hasGrants: true, priced: null }, true],
    ["no price, no plan: closed", { priced: null }, false],
    ["a feature of the plan", { feature: "standard", priced: null, rights: rights("basic") }, true],
    ["taken by hand", { byHand: false, hasGrants: true, hasQuota: true }, false],
    ["given by hand", { byHand: true, priced: null }, true],
  ])("%s", (_, facts, allowed) => {
    expect(isEntitled({ ...nothing, ...facts })).toBe(allowed);
  });
});

test("only what a change makes tighter is held against it", () => {
  const change = (before: number | null, after: number | null) =>
    exceededBy([{ key: "users", used: 60, before, after }]);
  expect(change(200, 50)).toEqual(["60 of 50 users"]);
  expect(change(null, 50)).toEqual(["60 of 50 users"]);
  expect([change(200, 60), change(200, null), change(50, 50), change(40, 50)].flat()).toEqual([]);
});
