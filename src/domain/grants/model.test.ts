import fc from "fast-check";
import { expect, test } from "vitest";
import { decimal } from "../../kit/decimal.ts";
import type { AccountId, GrantId } from "../../kit/ids.ts";
import type { Instant } from "../../kit/time.ts";
import {
  brokenLaw,
  compareDrawOrder,
  decideTransfer,
  drawFrom,
  expireUnused,
  type Grant,
  grantOfTransfer,
  openPool,
  subtractUnits,
  withMovement,
} from "./index.ts";

/**
 * The model: every single unit is a token that knows which grant it is in and what became of it. No sums, no split, no
 * pool: a draw looks at all tokens and picks the best one, unit by unit.
 */
type Token = { grant: Grant; state: "free" | "drawn" | "expired" | "moved" | "taken_back" };
type World = {
  now: number;
  seq: number;
  grants: Grant[];
  tokens: Token[];
  overage: number[];
  modelOverage: number[];
};

const hour = 3_600_000_000;
const accounts = ["acc_partner", "acc_child"] as AccountId[];

type Step =
  | { do: "buy"; account: number; size: number; hours: number; priority: number; cost: number }
  | { do: "event"; account: number; size: number; hoursAgo: number; final: boolean }
  | { do: "wait"; hours: number }
  | { do: "transfer"; from: number; size: number }
  | { do: "take_back"; which: number; size: number };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("buy" as const),
      account: fc.nat({ max: 1 }),
      size: fc.integer({ min: 1, max: 12 }),
      hours: fc.integer({ min: 1, max: 12 }),
      priority: fc.nat({ max: 1 }),
      cost: fc.nat({ max: 1 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("event" as const),
      account: fc.nat({ max: 1 }),
      size: fc.integer({ min: 1, max: 9 }),
      hoursAgo: fc.oneof(fc.constant(0), fc.nat({ max: 10 })),
      final: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("wait" as const), hours: fc.nat({ max: 4 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("transfer" as const),
      from: fc.nat({ max: 1 }),
      size: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("take_back" as const),
      which: fc.nat({ max: 9 }),
      size: fc.integer({ min: 1, max: 3 }),
    }),
  },
);

test("grants do what a model of single units does, whatever happens in whatever order", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 40 }), (steps) => {
      const world: World = {
        now: 100 * hour,
        seq: 0,
        grants: [],
        tokens: [],
        overage: [],
        modelOverage: [],
      };
      for (const step of steps) {
        take(world, step);
        for (const grant of world.grants) {
          expect(brokenLaw(grant)).toBeUndefined();
          const inState = (state: Token["state"]) =>
            world.tokens.filter((t) => t.grant.id === grant.id && t.state === state).length;
          expect({
            remaining: grant.remaining,
            drawn: grant.drawn,
            expired: grant.expired,
            moved: grant.transferredOut,
            takenBack: subtractUnits(0, grant.corrected),
          }).toEqual({
            remaining: inState("free"),
            drawn: inState("drawn"),
            expired: inState("expired"),
            moved: inState("moved"),
            takenBack: inState("taken_back"),
          });
        }
        expect(world.overage).toEqual(world.modelOverage);
      }
    }),
    { numRuns: 300 },
  );
});

function take(world: World, step: Step): void {
  const now = world.now as Instant;
  switch (step.do) {
    case "buy":
      fund(world, {
        ...blank(accounts[step.account] as AccountId, world),
        priority: step.priority,
        unitCost: decimal(String(step.cost)),
        expiresAt: (world.now + step.hours * hour) as Instant,
        size: step.size,
        remaining: step.size,
      });
      return;
    case "wait":
      world.now += step.hours * hour;
      return sweep(world);
    case "event":
      return consume(world, step);
    case "transfer": {
      const [from, to] = step.from === 0 ? accounts : accounts.toReversed();
      const held = world.grants.filter((grant) => grant.accountId === from);
      const decision = decideTransfer(held, step.size, now);
      const free = world.tokens.filter(
        (t) => t.grant.accountId === from && t.state === "free" && world.now < t.grant.expiresAt,
      );
      expect(decision.kind).toBe(free.length >= step.size ? "transfer" : "refused");
      if (decision.kind === "refused") return;
      for (const piece of decision.pieces) {
        const quantity = subtractUnits(0, piece.quantity);
        replace(
          world,
          withMovement(piece.source, {
            grantId: piece.source.id,
            kind: "transferred_out",
            quantity,
          }),
        );
        mark(world, piece.source.id, "free", "moved", Number(piece.quantity));
        const id = `grt_${world.grants.length}` as GrantId;
        fund(
          world,
          grantOfTransfer(piece, {
            id,
            accountId: to as AccountId,
            at: now,
            afterSeq: world.seq,
            value: null,
          }),
        );
      }
      return;
    }
    case "take_back": {
      const grant = world.grants[step.which % Math.max(world.grants.length, 1)];
      if (!grant || Number(grant.remaining) < step.size) return;
      replace(
        world,
        withMovement(grant, { grantId: grant.id, kind: "corrected", quantity: -step.size }),
      );
      mark(world, grant.id, "free", "taken_back", step.size);
    }
  }
}

function consume(world: World, step: Extract<Step, { do: "event" }>): void {
  const at = (world.now - step.hoursAgo * hour) as Instant;
  const account = accounts[step.account];
  const open = world.grants
    .filter((grant) => grant.accountId === account)
    .toSorted(compareDrawOrder);
  const pool = openPool(open);
  world.seq++;
  world.overage.push(
    Number(drawFrom(pool, { quantity: step.size, at, periodOpen: !step.final }, world.seq)),
  );
  for (const part of pool.parts) {
    let grant = world.grants.find((one) => one.id === part.grant.id) as Grant;
    if (part.fromExpired !== 0)
      grant = withMovement(grant, {
        grantId: grant.id,
        kind: "unexpired",
        quantity: part.fromExpired,
      });
    replace(
      world,
      withMovement(grant, {
        grantId: grant.id,
        kind: "drawn",
        quantity: subtractUnits(0, part.quantity),
      }),
    );
  }
  let uncovered = 0;
  for (let unit = 0; unit < step.size; unit++) {
    const best = world.tokens
      .filter((t) => t.grant.accountId === account)
      .filter((t) => at >= t.grant.validFrom && at < t.grant.expiresAt)
      .filter((t) => t.state === "free" || (t.state === "expired" && !step.final))
      .toSorted((a, b) => compareDrawOrder(a.grant, b.grant) || (a.state === "free" ? -1 : 1))[0];
    if (best) best.state = "drawn";
    else uncovered++;
  }
  world.modelOverage.push(uncovered);
}

function sweep(world: World): void {
  for (const grant of world.grants) {
    const movement = expireUnused(grant, world.now as Instant);
    if (movement) replace(world, withMovement(grant, movement));
  }
  for (const token of world.tokens)
    if (token.state === "free" && world.now >= token.grant.expiresAt) token.state = "expired";
}

function fund(world: World, grant: Grant): void {
  world.grants.push(grant);
  for (let unit = 0; unit < Number(grant.size); unit++) world.tokens.push({ grant, state: "free" });
}

function replace(world: World, grant: Grant): void {
  world.grants = world.grants.map((one) => (one.id === grant.id ? grant : one));
}

function mark(
  world: World,
  id: string,
  from: Token["state"],
  to: Token["state"],
  count: number,
): void {
  const found = world.tokens.filter((t) => t.grant.id === id && t.state === from).slice(0, count);
  expect(found).toHaveLength(count);
  for (const token of found) token.state = to;
}

const blank = (accountId: AccountId, world: World): Grant => ({
  id: `grt_${world.grants.length}` as GrantId,
  accountId,
  denomination: { kind: "units", family: "sms" },
  sku: "USAGE-SMS-1000",
  origin: "purchase",
  priority: 50,
  validFrom: world.now as Instant,
  expiresAt: world.now as Instant,
  unitCost: decimal("0"),
  createdAt: world.now as Instant,
  size: 0,
  remaining: 0,
  drawn: 0,
  expired: 0,
  transferredOut: 0,
  corrected: 0,
  paid: null,
  parent: null,
  afterSeq: world.seq,
});
