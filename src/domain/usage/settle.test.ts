import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { instant } from "../../kit/time.ts";
import { type Meter } from "../catalog/index.ts";
import { writeUnits } from "../grants/index.ts";
import { admit } from "./admission.ts";
import { accountName, payerIn } from "./attribution.ts";
import { type ChainedEvent, startOfChain, walkChain } from "./chain.ts";
import { defaultEventLimits, readEvent } from "./event.ts";
import { eventKey } from "./identity.ts";
import { indexMeters } from "./match.ts";
import { type Arrival, firstHead, type Head, headAfter, rollupsOf, settle } from "./settle.ts";

const now = instant("2025-01-20T00:00:00Z");
const aMeter = (over: Partial<Meter>): Meter => ({
  key: "tokens",
  name: "Tokens",
  eventType: "call",
  aggregation: "sum",
  valueProperty: "value",
  valueKind: "decimal",
  allowNegative: false,
  unit: "token",
  filters: [],
  dimensions: [{ key: "model" }],
  status: "published",
  ...over,
});
const meters = indexMeters([
  aMeter({}),
  aMeter({ key: "calls", aggregation: "count" }),
  aMeter({ key: "peak", aggregation: "max" }),
  aMeter({ key: "level", aggregation: "latest" }),
]);

function arrivalOf(over: object): Arrival {
  const written = { id: "e", type: "call", subject: "web", time: "2025-01-19T00:00:00Z", ...over };
  const reading = readEvent(written, false);
  if (reading.kind !== "event") throw new Error(reading.detail);
  const { event } = reading;
  const place = {
    projectId: `prj_${event.subject}`,
    bindings: [
      { from: instant("2024-01-01T00:00:00Z"), payer: payerIn("org", `acc_${event.subject}`) },
    ],
  };
  const facts = { meters, place, isForeignProject: false, now, limits: defaultEventLimits };
  return {
    orgId: "org",
    key: eventKey(event.source, event.id),
    event,
    receivedAt: now,
    verdict: admit(event, facts),
  };
}

const emptyHeads = () =>
  new Map<string, Head>(
    ["web", "api"].map((name) => [accountName("org", `acc_${name}`), firstHead]),
  );

/** Settle group after group, as lanes do, and add up everything there is to know afterwards. */
function settleAll(groups: readonly (readonly Arrival[])[]) {
  const heads = emptyHeads();
  const known = new Map();
  const sums = new Map<string, Record<string, unknown>>();
  const stored: { event: ChainedEvent; link: string }[] = [];
  const fates: string[] = [];
  for (const group of groups) {
    const settlement = settle(group, { heads, known, originals: new Map() });
    fates.push(...settlement.fates.map(({ kind }) => kind));
    for (const account of settlement.accounts) {
      heads.set(accountName("org", account.accountId), headAfter(account));
      for (const { arrival, projectId, seq, link, corrects } of account.events) {
        const { event, receivedAt } = arrival;
        const content = { ...event, corrects };
        known.set(`org\n${arrival.key}`, { content, held: null });
        stored.push({
          link,
          event: {
            ...event,
            orgId: "org",
            accountId: account.accountId,
            seq,
            projectId,
            receivedAt,
            corrects,
          },
        });
      }
    }
    for (const d of rollupsOf(settlement)) {
      const name = `${d.accountId} ${d.meterKey} ${d.bucketAt} ${d.dimensions}`;
      const sum = sums.get(name) ?? { count: 0, total: 0, highest: -1, latestAt: -1 };
      sum["count"] = (sum["count"] as number) + d.eventCount;
      sum["total"] = (sum["total"] as number) + Number(d.total);
      sum["highest"] = Math.max(sum["highest"] as number, Number(d.highest ?? -1));
      sum["latestAt"] = Math.max(sum["latestAt"] as number, d.latestAt ?? -1);
      sums.set(name, sum);
    }
  }
  return {
    sums: Object.fromEntries([...sums].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    stored,
    heads,
    fates,
  };
}

const anyWritten = fc
  .record({
    id: fc.integer({ min: 0, max: 30 }),
    subject: fc.constantFrom("web", "api"),
    minute: fc.integer({ min: 0, max: 40 }),
    value: fc.integer({ min: 0, max: 1_000 }),
    model: fc.constantFrom(undefined, "a", "b"),
  })
  .map(({ id, subject, minute, value, model }) => ({
    id: `${subject}-${id}`,
    subject,
    time: `2025-01-19T00:${String(minute).padStart(2, "0")}:00Z`,
    data: { value: String(value), ...(model && { model }) },
  }));
const anyWorld = fc
  .uniqueArray(anyWritten, { selector: (one) => one.id, maxLength: 25 })
  .chain((events) =>
    fc.record({
      events: fc.constant(events),
      sends: fc.array(fc.nat({ max: Math.max(0, events.length - 1) }), { maxLength: 60 }),
      sizes: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 }),
    }),
  );

describe("settling", () => {
  test("any order, any repetition and any division into groups give the same rollups", () => {
    fc.assert(
      fc.property(anyWorld, ({ events, sends, sizes }) => {
        const once = settleAll([events.map(arrivalOf)]);
        const repeated = [...sends.map((index) => events[index]), ...events.toReversed()]
          .filter((one) => one !== undefined)
          .map(arrivalOf);
        const groups: Arrival[][] = [];
        for (let at = 0, turn = 0; at < repeated.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          groups.push(repeated.slice(at, at + size));
          at += size;
        }
        const many = settleAll(groups);
        expect(many.sums).toEqual(once.sums);
        expect(many.stored.length).toBe(events.length);
        expect(many.fates.filter((kind) => kind === "accepted").length).toBe(events.length);
      }),
    );
  });

  test("numbers of an account have no gaps, its chain holds, and any change of a stored event is named", () => {
    fc.assert(
      fc.property(anyWorld, fc.nat(), ({ events }, pick) => {
        const { stored, heads } = settleAll([events.map(arrivalOf)]);
        for (const accountId of ["acc_web", "acc_api"]) {
          const own = stored.filter(({ event }) => event.accountId === accountId);
          const faults = (of: typeof own) => {
            const walk = startOfChain();
            const found = of
              .map(({ event, link }) => walkChain(walk, event, link))
              .filter((f) => f !== undefined);
            return { found, walk };
          };
          const { found, walk } = faults(own);
          expect(found).toEqual([]);
          const head = heads.get(accountName("org", accountId));
          expect([walk.link, walk.lastSeq]).toEqual([head?.link, BigInt(head?.seq ?? 0)]);
          const victim = own[pick % Math.max(1, own.length)];
          if (!victim) continue;
          const tampered = own.map((one) =>
            one === victim
              ? { ...one, event: { ...one.event, dataText: '{"value":"1001"}' } }
              : one,
          );
          expect(faults(tampered).found.map(({ id }) => id)).toEqual([victim.event.id]);
          if (victim === own.at(-1)) continue;
          const without = own.filter((one) => one !== victim);
          expect(faults(without).found[0]?.detail).toContain(
            `number ${victim.event.seq} is missing`,
          );
        }
      }),
    );
  });

  test("a correction takes back what is left, of the event itself, and no more", () => {
    const arrivals = [
      arrivalOf({ id: "a", type: "call", data: { value: "100" } }),
      arrivalOf({ id: "b", corrects: "a", data: { value: "-40" } }),
      arrivalOf({ id: "c", corrects: "a", data: { value: "-61" } }),
      arrivalOf({ id: "d", corrects: "nothing", data: { value: "-1" } }),
      arrivalOf({ id: "e", corrects: "b", data: { value: "-1" } }),
      arrivalOf({ id: "f", corrects: "a", data: { value: "1" } }),
    ];
    const { fates } = settle(arrivals, {
      heads: emptyHeads(),
      known: new Map(),
      originals: new Map(),
    });
    expect(fates.map((fate) => (fate.kind === "rejected" ? fate.code : fate.kind))).toEqual([
      "accepted",
      "accepted",
      "correction_below_zero",
      "original_not_found",
      "original_not_found",
      "correction_not_negative",
    ]);
  });

  test("exact sums of long decimals", () => {
    const values = ["9223372036854775807", "0.00000000000000000001", "12.5"];
    const arrivals = values.map((value, index) => arrivalOf({ id: `n${index}`, data: { value } }));
    const settlement = settle(arrivals, {
      heads: emptyHeads(),
      known: new Map(),
      originals: new Map(),
    });
    const total = rollupsOf(settlement).find(({ meterKey }) => meterKey === "tokens")?.total ?? 0;
    expect(writeUnits(total)).toBe("9223372036854775819.50000000000000000001");
  });
});
