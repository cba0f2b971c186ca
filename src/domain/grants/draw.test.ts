import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decimal } from "../../kit/decimal.ts";
import type { GrantId } from "../../kit/ids.ts";
import { type Instant, instant } from "../../kit/time.ts";
import {
  addUnits,
  applyDraw,
  compareDrawOrder,
  type DrawRequest,
  draw,
  drawFrom,
  explainDraw,
  expiryAfterDays,
  never,
  type OpenGrant,
  openPool,
  readUnits,
  subtractUnits,
  sumUnits,
  type Units,
  writeUnits,
} from "./index.ts";

const at = (text: string): Instant => instant(`${text.length === 10 ? `${text}T00:00:00` : text}Z`);

const aBatch = (changes: Partial<Omit<OpenGrant, "id">> & { id: string }): OpenGrant => ({
  origin: "purchase",
  priority: 50,
  validFrom: at("2025-01-10"),
  expiresAt: at("2025-02-09"),
  unitCost: decimal("0.04"),
  createdAt: at("2025-01-10"),
  remaining: 1000,
  expired: 0,
  ...changes,
  id: changes.id as GrantId,
});
const ask = (quantity: Units, when = "2025-01-20", periodOpen = true): DrawRequest => ({
  quantity,
  at: at(when),
  periodOpen,
});
const split = (request: DrawRequest, grants: OpenGrant[]) => {
  const { taken, overage } = draw(request, grants);
  return { ...Object.fromEntries(taken.map((part) => [part.grant.id, part.quantity])), overage };
};

describe("splitting one event between batch and overage", () => {
  test("what lapsed is gone for a final period, whether the expiry is written down yet or not (R-078)", () => {
    const late = { ...ask(25, "2025-02-01", false), receivedAt: at("2025-03-10") };
    const unwritten = [aBatch({ id: "a" })];
    const written = [aBatch({ id: "a", remaining: 0, expired: 1000 })];
    for (const grants of [unwritten, written]) {
      expect(split(late, grants)).toEqual({ overage: 25 });
      expect(drawFrom(openPool(grants), late, 1)).toBe(25);
      expect(split({ ...late, periodOpen: true }, grants)).toEqual({ a: 25, overage: 0 });
      expect(drawFrom(openPool(grants), { ...late, periodOpen: true }, 1)).toBe(0);
    }
    const intime = { ...late, receivedAt: at("2025-02-08") };
    expect(split(intime, unwritten)).toEqual({ a: 25, overage: 0 });
  });

  test("an event of 25 with 10 left takes 10 from the batch; 15 are overage (R-058)", () => {
    expect(split(ask(25), [aBatch({ id: "a", remaining: 10 })])).toEqual({ a: 10, overage: 15 });
  });

  test("1,300 over two batches empty the one that expires sooner (R-076)", () => {
    const first = aBatch({ id: "first" });
    const second = aBatch({
      id: "second",
      validFrom: at("2025-01-20"),
      expiresAt: at("2025-02-19"),
      createdAt: at("2025-01-20"),
    });
    const grants = [second, first].toSorted(compareDrawOrder);
    const decision = draw(ask(1300, "2025-01-25"), grants);
    expect(decision.overage).toBe(0);
    expect(applyDraw(decision, grants).map((grant) => [grant.id, grant.remaining])).toEqual([
      ["first", 0],
      ["second", 700],
    ]);
  });

  test("30 and 90 days from 10 January end on 9 February and 10 April, to the instant (R-072)", () => {
    const bought = at("2025-01-10");
    expect(expiryAfterDays(bought, 30)).toBe(at("2025-02-09"));
    expect(expiryAfterDays(bought, 90)).toBe(at("2025-04-10"));
    const batch = aBatch({ id: "a" });
    expect(split(ask(1, "2025-02-08T23:59:59.999"), [batch])).toEqual({ a: 1, overage: 0 });
    expect(split(ask(1, "2025-02-09"), [batch])).toEqual({ overage: 1 });
    expect(split(ask(1, "2025-01-09T23:59:59.999"), [batch])).toEqual({ overage: 1 });
  });

  test("a late event takes units back from expiry while its period is open (R-078)", () => {
    const lapsed = aBatch({ id: "a", remaining: 0, expired: 400 });
    expect(draw(ask(30, "2025-02-08"), [lapsed]).taken).toEqual([
      { grant: lapsed, quantity: 30, fromExpired: 30 },
    ]);
    expect(split(ask(30, "2025-02-08", false), [lapsed])).toEqual({ overage: 30 });
    expect(split(ask(30, "2025-02-09"), [lapsed])).toEqual({ overage: 30 });
  });

  test("batches of 1 and of 1,000,000,000, fractions, and counts beyond 2^53 are all exact (R-082)", () => {
    const big = aBatch({ id: "big", remaining: 1_000_000_000 });
    expect(split(ask(999_999_999), [big])).toEqual({ big: 999_999_999, overage: 0 });
    expect(split(ask(2), [aBatch({ id: "one", remaining: 1 })])).toEqual({ one: 1, overage: 1 });
    const huge = readUnits("9223372036854775807");
    const { overage } = draw({ ...ask(huge) }, [aBatch({ id: "a", remaining: readUnits("0.5") })]);
    expect(writeUnits(overage)).toBe("9223372036854775806.5");
  });
});

test("each rank of the draw order decides before the next", () => {
  const order = [
    aBatch({ id: "allowance", origin: "allowance", priority: 99 }),
    aBatch({ id: "urgent", priority: 1, expiresAt: never }),
    aBatch({ id: "soon", expiresAt: at("2025-02-01"), unitCost: decimal("9") }),
    aBatch({ id: "free", unitCost: decimal("0"), createdAt: at("2025-01-12") }),
    aBatch({ id: "old", createdAt: at("2025-01-09") }),
    aBatch({ id: "same-a" }),
    aBatch({ id: "same-b" }),
  ];
  expect(order.toReversed().toSorted(compareDrawOrder)).toEqual(order);
});

test("a draw explains itself, grant by grant", () => {
  const grants = [
    aBatch({ id: "gone", expiresAt: at("2025-01-15") }),
    aBatch({ id: "first", remaining: 10 }),
    aBatch({ id: "second", remaining: 5, expiresAt: at("2025-03-01") }),
  ];
  expect(explainDraw(ask(25), grants)).toEqual([
    "gone: nothing, it expired at 2025-01-15T00:00:00.000Z",
    "first: 10; before second because it expires sooner",
    "second: 5",
    "overage: 10, because no grant that was valid at 2025-01-20T00:00:00.000Z has units left",
  ]);
});

describe("laws of drawing", () => {
  const anyUnits = fc.oneof(
    fc.nat({ max: 50 }),
    fc.nat({ max: 500 }).map((tenths) => readUnits((tenths / 10).toFixed(1))),
  );
  const anyTime = fc
    .nat({ max: 40 })
    .map((days) => (at("2025-01-05") + days * 86_400e6) as Instant);
  const anyGrant = fc
    .record({
      origin: fc.constantFrom("allowance" as const, "purchase" as const),
      priority: fc.nat({ max: 2 }),
      validFrom: anyTime,
      days: fc.integer({ min: 1, max: 20 }),
      unitCost: fc.nat({ max: 2 }).map((cost) => decimal(String(cost))),
      remaining: anyUnits,
      expired: fc.oneof(fc.constant(0), anyUnits),
    })
    .map(({ days, ...grant }) => ({
      ...aBatch({ id: "g" }),
      ...grant,
      expiresAt: expiryAfterDays(grant.validFrom, days),
    }));
  const anyGrants = fc
    .array(anyGrant, { maxLength: 6 })
    .map((grants) =>
      grants
        .map((grant, index) => ({ ...grant, id: `g${index}` as GrantId }))
        .toSorted(compareDrawOrder),
    );
  const anyRequests = fc.array(
    fc.record({ quantity: anyUnits, at: anyTime, periodOpen: fc.boolean() }),
    { maxLength: 12 },
  );

  test("nothing is made or lost, nothing goes below zero, and a worse grant waits for the better", () => {
    fc.assert(
      fc.property(anyGrants, anyRequests, (start, requests) => {
        let grants: OpenGrant[] = start;
        for (const request of requests) {
          const decision = draw(request, grants);
          const taken = sumUnits(decision.taken.map((part) => part.quantity));
          expect(writeUnits(addUnits(taken, decision.overage))).toBe(writeUnits(request.quantity));
          const after = applyDraw(decision, grants);
          const held = (list: OpenGrant[]) =>
            sumUnits(list.flatMap((grant) => [grant.remaining, grant.expired]));
          expect(writeUnits(subtractUnits(held(grants), held(after)))).toBe(writeUnits(taken));
          for (const grant of after)
            expect(Number(grant.remaining) >= 0 && Number(grant.expired) >= 0).toBe(true);
          for (const part of decision.taken) {
            const better = after.slice(
              0,
              after.findIndex((grant) => grant.id === part.grant.id),
            );
            for (const grant of better)
              if (request.at >= grant.validFrom && request.at < grant.expiresAt)
                expect(Number(grant.remaining)).toBe(0);
          }
          grants = after;
        }
      }),
    );
  });

  test("the pool that the ingest path uses draws exactly like the rule, event by event", () => {
    fc.assert(
      fc.property(anyGrants, anyRequests, (start, requests) => {
        let grants: OpenGrant[] = start;
        const pool = openPool(start);
        for (const [index, request] of requests.entries()) {
          const decision = draw(request, grants);
          expect(writeUnits(drawFrom(pool, request, index + 1))).toBe(writeUnits(decision.overage));
          grants = applyDraw(decision, grants);
        }
        const state = (remaining: readonly Units[]) => remaining.map(writeUnits);
        expect(state(pool.remaining)).toEqual(state(grants.map((grant) => grant.remaining)));
        expect(state(pool.expired)).toEqual(state(grants.map((grant) => grant.expired)));
        for (const grant of start) {
          const parts = pool.parts.filter((part) => part.grant.id === grant.id);
          const after = grants.find((other) => other.id === grant.id) as OpenGrant;
          const left = subtractUnits(
            addUnits(grant.remaining, grant.expired),
            addUnits(after.remaining, after.expired),
          );
          expect(writeUnits(sumUnits(parts.map((part) => part.quantity)))).toBe(writeUnits(left));
        }
      }),
    );
  });
});
