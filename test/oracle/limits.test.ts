import { expect } from "vitest";
import { checkQuota, commit, hold } from "../../src/domain/entitlements/index.ts";
import { subtractUnits } from "../../src/domain/grants/index.ts";
import { instant, shift } from "../../src/kit/time.ts";
import { oracle } from "./cases.ts";

const now = instant("2025-01-01T00:00:00Z");
const heldOf = (quantity: number) => ({
  id: "rsv_1",
  quantity,
  status: "held" as const,
  expiresAt: shift(now, 60e6),
});

oracle<
  { pending: number; post: number },
  { posted: number; released: number; pending_left: number }
>("hold.post_partial", ({ input, expected }) => {
  const decision = commit(heldOf(input.pending), input.post, now);
  expect(decision).toMatchObject({
    kind: "committed",
    used: expected.posted,
    released: expected.released,
  });
  expect(subtractUnits(input.pending, input.post)).toBe(expected.released + expected.pending_left);
});

oracle<{ pending: number }, { posted: number; released: number }>(
  "hold.void",
  ({ input, expected }) => {
    const decision = commit(heldOf(input.pending), 0, now);
    expect(decision).toMatchObject({ used: expected.posted, released: expected.released });
  },
);

oracle<{ credits_posted: number; debits_posted: number; pending: number }, { accepted: boolean }>(
  "hold.counts_against_limit",
  ({ input, expected }) => {
    const decision = hold(input.pending, subtractUnits(input.credits_posted, input.debits_posted));
    expect(decision.kind === "held").toBe(expected.accepted);
    const quota = {
      key: "units",
      limit: input.credits_posted,
      window: "none" as const,
      enforcement: "hard" as const,
      burst: 0,
      softUpTo: null,
      graceHours: 0,
    };
    const use = { used: input.debits_posted, held: 0, exceededAt: null };
    expect(checkQuota(quota, [], use, input.pending, now, "UTC").allowed).toBe(expected.accepted);
  },
);

oracle<{ headroom: number; requests: number[] }, { moved: number[] }>(
  "balancing_debit",
  ({ input, expected }) => {
    let free = input.headroom;
    const moved = input.requests.map((wanted) => {
      const decision = hold(wanted, free, "up_to");
      const got = decision.kind === "held" ? Number(decision.quantity) : 0;
      free -= got;
      return got;
    });
    expect(moved).toEqual(expected.moved);
  },
);
