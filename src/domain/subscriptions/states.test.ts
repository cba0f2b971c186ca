import { expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { aSubscription, on, v1 } from "../../../test/harness/plans.ts";
import { decimal } from "../../kit/decimal.ts";
import { type Change, change } from "./change.ts";
import {
  type SubscriptionEvent,
  type SubscriptionState,
  stateAt,
  steps,
  subscriptionEvents,
  subscriptionStates,
} from "./states.ts";
import type { Subscription } from "./subscription.ts";

const now = on("2025-01-10");
const must = (subscription: Subscription, wanted: Change, at = now): Subscription => {
  const decision = change(subscription, wanted, at);
  if (decision.kind === "refused") throw new Error(decision.detail);
  return decision.subscription;
};
const toTeam = (kind: "now" | "period_end"): Change => ({
  kind: "change_plan",
  plan: v1("team"),
  cadence: "month",
  restartCycle: false,
  when: { kind },
});

const active = aSubscription("basic", "2025-01-01");
const examples: Record<SubscriptionState, Subscription> = {
  scheduled: aSubscription("basic", "2025-02-01"),
  trialing: aSubscription("basic", "2025-01-01", { trialDays: 30 }),
  active,
  pending_change: must(active, toTeam("period_end")),
  paused: must(active, { kind: "pause", until: null }, on("2025-01-05")),
  cancelled: must(active, { kind: "cancel", when: { kind: "period_end" } }),
  ended: must(active, { kind: "cancel", when: { kind: "now" } }, on("2025-01-05")),
};
const acts: Record<SubscriptionEvent, Change> = {
  change_now: toTeam("now"),
  change_later: toTeam("period_end"),
  adjust: { kind: "set_quantity", sku: "SEAT", quantity: decimal("3"), when: { kind: "now" } },
  undo_change: { kind: "undo_change" },
  pause: { kind: "pause", until: null },
  resume: { kind: "resume" },
  end_trial: { kind: "end_trial" },
  cancel_now: { kind: "cancel", when: { kind: "now" } },
  cancel_later: { kind: "cancel", when: { kind: "period_end" } },
  undo_cancel: { kind: "undo_cancel" },
};

const cells = subscriptionStates.flatMap((state) =>
  subscriptionEvents.map((event) => [state, event] as const),
);

test.each(cells)("%s: %s does what the table says", (state, event) => {
  const before = examples[state];
  expect(stateAt(before, now)).toBe(state);
  const cell = steps[state][event];
  const decision = change(before, acts[event], now);
  if ("refused" in cell) {
    expect(decision).toMatchObject({ kind: "refused", reason: cell.refused });
    return;
  }
  if (decision.kind === "refused") throw new Error(decision.detail);
  const after = stateAt(decision.subscription, now);
  if (cell.to !== "as_before") expect(after).toBe(cell.to);
  else if (state === "cancelled") expect(["active", "cancelled"]).toContain(after);
  else expect([state, "pending_change"]).toContain(after);
});

test("a change to the plan that is there already is refused with its own sentence, not made into a new period", () => {
  const toBasic = (kind: "now" | "period_end"): Change => ({
    ...(toTeam(kind) as Change & { kind: "change_plan" }),
    plan: v1("basic"),
  });
  for (const kind of ["now", "period_end"] as const)
    expect(change(active, toBasic(kind), now)).toMatchObject({
      kind: "refused",
      reason: "same_plan",
      detail: expect.stringContaining("has basic@1 already"),
    });
  // Another rhythm, a new start of the period, or another version is a change.
  const asked = toBasic("now") as Change & { kind: "change_plan" };
  for (const other of [
    { ...asked, cadence: "year" as const },
    { ...asked, restartCycle: true },
    { ...asked, plan: { plan: "basic", version: 2 } },
  ])
    expect(change(active, other, now).kind).toBe("changed");
});

test("SPEC.md shows the same table", () => {
  const spec = readFileSync(new URL("./SPEC.md", import.meta.url), "utf8");
  const cell = (state: SubscriptionState, event: SubscriptionEvent) => {
    const step = steps[state][event];
    return "refused" in step ? `no: ${step.refused}` : step.to;
  };
  const rows = subscriptionEvents.map(
    (event) =>
      `| ${[event, ...subscriptionStates.map((state) => cell(state, event))].join(" | ")} |`,
  );
  for (const row of rows) expect(spec).toContain(row);
});
