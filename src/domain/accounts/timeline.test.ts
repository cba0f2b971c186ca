import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AccountId, BindingId, OrganizationId, ProjectId } from "../../kit/ids.ts";
import { day, type Instant, instant, stepFrom } from "../../kit/time.ts";
import {
  type Binding,
  type BindingFacts,
  type BindingWish,
  bind,
  intervalAt,
  timelineOf,
} from "./timeline.ts";

const start = instant("2025-01-01T00:00:00Z");
const at = (text: string) => instant(text);

const aBinding = (id: string, from: Instant, account: string | null = "acc_usd"): Binding => ({
  id: `bnd_${id}`,
  projectId: "prj_web",
  accountId: account as AccountId | null,
  effectiveFrom: from,
  reason: "",
  createdBy: "key_1",
  createdAt: from,
});

const facts = (bindings: Binding[], more: Partial<BindingFacts> = {}): BindingFacts => ({
  project: {
    id: "prj_web" as ProjectId,
    organizationId: "org_1" as OrganizationId,
    slug: "web",
    name: "Web",
    status: "active",
    createdAt: start,
  },
  account: { id: "acc_eur", status: "ready" },
  timeline: timelineOf(bindings),
  now: at("2025-01-16T00:00:00Z"),
  mayBackdate: false,
  ...more,
});
const wish = (more: Partial<BindingWish> = {}): BindingWish => ({
  accountId: "acc_eur",
  effectiveFrom: at("2025-01-16T00:00:00Z"),
  supersedes: null,
  reason: "",
  ...more,
});
const reasonOf = (f: BindingFacts, w: BindingWish) => {
  const decision = bind(f, w);
  return decision.kind === "refused" ? decision.reason : "bound";
};

describe("laws of a project's timeline", () => {
  const anyStarts = fc.uniqueArray(fc.integer({ min: 0, max: 800 }), {
    minLength: 1,
    maxLength: 40,
  });

  test("intervals tile time: each ends where the next begins, and the last is open", () => {
    fc.assert(
      fc.property(anyStarts, (days) => {
        const timeline = timelineOf(
          days.map((n) => aBinding(String(n), (start + n * day) as Instant)),
        );
        for (const [index, interval] of timeline.entries()) {
          const next = timeline[index + 1];
          expect(interval.endsAt).toBe(next?.startsAt ?? null);
          expect(interval.supersededBy).toBe(next?.binding.id ?? null);
        }
      }),
    );
  });

  test("at each instant at most one pays, and from the first binding on exactly one is in force", () => {
    fc.assert(
      fc.property(anyStarts, fc.integer({ min: -5, max: 900 }), (days, n) => {
        const moment = (start + n * day) as Instant;
        const timeline = timelineOf(
          days.map((one) => aBinding(String(one), (start + one * day) as Instant)),
        );
        const inForce = timeline.filter(
          (one) => one.startsAt <= moment && (one.endsAt === null || moment < one.endsAt),
        );
        expect(inForce).toHaveLength(n >= Math.min(...days) ? 1 : 0);
        expect(intervalAt(timeline, moment)).toEqual(inForce[0]);
      }),
    );
  });

  test("24 months of monthly re-binding tile two years in any zone", () => {
    for (const zone of ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]) {
      const anchor = instant("2024-12-31T12:30:00Z");
      const bindings = Array.from({ length: 25 }, (_, n) =>
        aBinding(String(n), stepFrom(anchor, zone, "month", n), n % 2 ? "acc_a" : "acc_b"),
      );
      const timeline = timelineOf(bindings.toReversed());
      const closed = timeline.slice(0, 24);
      const covered = closed.reduce((sum, one) => sum + ((one.endsAt ?? 0) - one.startsAt), 0);
      expect(covered).toBe(stepFrom(anchor, zone, "month", 24) - anchor);
    }
  });
});

describe("binding a project", () => {
  const usd = aBinding("usd", start);

  test("the first binding starts now and supersedes nothing", () => {
    expect(bind(facts([]), wish())).toEqual({
      kind: "bound",
      supersedes: null,
      backdated: false,
      first: true,
    });
  });

  test("another payer takes over only from the binding it names", () => {
    expect(reasonOf(facts([usd]), wish())).toBe("binding_not_superseded");
    expect(reasonOf(facts([usd]), wish({ supersedes: "bnd_other" }))).toBe("binding_superseded");
    expect(bind(facts([usd]), wish({ supersedes: "bnd_usd" }))).toMatchObject({
      kind: "bound",
      supersedes: "bnd_usd" satisfies BindingId,
    });
  });

  test("a binding that has a successor cannot be given another", () => {
    const later = aBinding("later", at("2025-02-01T00:00:00Z"), "acc_x");
    expect(reasonOf(facts([usd, later]), wish({ supersedes: "bnd_usd" }))).toBe(
      "binding_superseded",
    );
  });

  test("the same start, the same payer, and accounts that are not ready are refused", () => {
    const same = { effectiveFrom: start, supersedes: "bnd_usd" };
    expect(reasonOf(facts([usd], { mayBackdate: true }), wish(same))).toBe("binding_exists");
    expect(
      reasonOf(
        facts([usd], { account: { id: "acc_usd", status: "ready" } }),
        wish({ accountId: "acc_usd", supersedes: "bnd_usd" }),
      ),
    ).toBe("binding_unchanged");
    const wanted = wish({ supersedes: "bnd_usd" });
    expect(
      reasonOf(facts([usd], { account: { id: "acc_eur", status: "suspended" } }), wanted),
    ).toBe("account_suspended");
    expect(reasonOf(facts([usd], { account: { id: "acc_eur", status: "archived" } }), wanted)).toBe(
      "account_archived",
    );
    expect(
      reasonOf(facts([usd], { account: { id: "acc_eur", status: "provisioning" } }), wanted),
    ).toBe("account_not_ready");
  });

  test("the past needs permission and a reason, starts with the project, and stays where somebody paid", () => {
    const past = wish({ effectiveFrom: at("2025-01-05T00:00:00Z") });
    const said = { ...past, reason: "signed on the 5th" };
    expect(reasonOf(facts([]), past)).toBe("binding_backdate_forbidden");
    expect(reasonOf(facts([], { mayBackdate: true }), past)).toBe("binding_backdate_needs_reason");
    expect(bind(facts([], { mayBackdate: true }), said)).toMatchObject({
      kind: "bound",
      backdated: true,
    });
    const before = { ...said, effectiveFrom: at("2024-12-31T00:00:00Z") };
    expect(reasonOf(facts([], { mayBackdate: true }), before)).toBe("binding_before_project");
    expect(reasonOf(facts([usd], { mayBackdate: true }), said)).toBe("binding_overlaps");
  });

  test("a stretch that nobody paid for can be filled afterwards", () => {
    const nobody = aBinding("nobody", at("2025-01-03T00:00:00Z"), null);
    const later = aBinding("later", at("2025-01-10T00:00:00Z"));
    const said = wish({ effectiveFrom: at("2025-01-04T00:00:00Z"), reason: "forgotten" });
    expect(bind(facts([usd, nobody, later], { mayBackdate: true }), said)).toMatchObject({
      kind: "bound",
      backdated: true,
    });
  });
});
