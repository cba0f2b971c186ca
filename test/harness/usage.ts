import type { Meter } from "../../src/domain/catalog/index.ts";
import { writeMeter } from "../../src/domain/catalog/index.ts";
import {
  emptyPart,
  type MeasuredEvent,
  matchEvent,
  mergeParts,
  type MeterIndex,
  type Part,
  partOf,
  partOfCorrection,
  startOfQuarterHour,
} from "../../src/domain/usage/index.ts";
import { decimalOfUnits } from "../../src/domain/grants/index.ts";
import { sha256 } from "../../src/kit/hash.ts";
import { formatInstant, type Instant } from "../../src/kit/time.ts";
import type { TestDatabase } from "./database.ts";

/** A usage event as a test writes it down: who, when, what. */
export type WrittenEvent = {
  readonly orgId: string;
  readonly accountId: string;
  readonly projectId: string;
  readonly type: string;
  readonly id: string;
  readonly at: Instant;
  readonly data: Readonly<Record<string, unknown>>;
  /** The id of the event this one corrects. */
  readonly corrects?: string;
};

type Pool = TestDatabase["store"]["pool"];

export const eventKeyOf = (id: string): string => {
  const hex = Buffer.from(sha256(id)).toString("hex").slice(0, 32);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
};

export async function insertMeter(pool: Pool, meter: Meter, rolledUp: boolean): Promise<void> {
  await pool.query(
    `insert into meter (meter_id, key, event_type, status, definition, created_at, rolled_up)
     values ($1, $2, $3, $4, $5, now(), $6)`,
    [
      `mtr_${meter.key}`,
      meter.key,
      meter.eventType,
      meter.status,
      JSON.stringify(writeMeter(meter)),
      rolledUp,
    ],
  );
}

/**
 * Write events and their rollups straight into the tables, the slow and obvious way: tests of reading need no ingest.
 * Returns what the given meters made of them.
 */
export async function writeUsage(
  pool: Pool,
  index: MeterIndex,
  events: readonly WrittenEvent[],
): Promise<void> {
  await pool.query(
    `insert into organization (org_id, slug, name, created_at)
     select distinct org_id, replace(org_id, '_', '-'), org_id, timestamptz '2024-01-01'
     from unnest($1::text[]) as n (org_id) on conflict do nothing`,
    [events.map((event) => event.orgId)],
  );
  await pool.query(
    `insert into billing_account (org_id, account_id, slug, name, currency, created_at)
     select distinct org_id, account_id, account_id, account_id, 'USD', timestamptz '2024-01-01'
     from unnest($1::text[], $2::text[]) as n (org_id, account_id) on conflict do nothing`,
    [events.map((event) => event.orgId), events.map((event) => event.accountId)],
  );
  const seqs = new Map<string, bigint>();
  const rollups = new Map<string, { keys: readonly unknown[]; part: Part }>();
  const rows = events.map((event) => {
    const owner = `${event.orgId} ${event.accountId}`;
    const seq = (seqs.get(owner) ?? 0n) + 1n;
    seqs.set(owner, seq);
    for (const { meterKey, dimensions, sample } of samplesOf(index, event, seq)) {
      const at = formatInstant(startOfQuarterHour(event.at));
      const keys = [event.orgId, event.accountId, meterKey, at, event.projectId, dimensions];
      const name = JSON.stringify(keys);
      const part = event.corrects === undefined ? partOf(sample) : partOfCorrection(sample);
      rollups.set(name, { keys, part: mergeParts(rollups.get(name)?.part ?? emptyPart, part) });
    }
    return {
      org_id: event.orgId,
      event_key: eventKeyOf(event.id),
      account_id: event.accountId,
      seq: String(seq),
      project_id: event.projectId,
      type: event.type,
      source: "test",
      id: event.id,
      subject: event.projectId,
      time: formatInstant(event.at),
      received_at: formatInstant(event.at),
      data: event.data,
      corrects: event.corrects === undefined ? null : eventKeyOf(event.corrects),
      chain: "\\x00",
    };
  });
  await pool.query(
    "insert into usage_event select * from json_populate_recordset(null::usage_event, $1)",
    [JSON.stringify(rows)],
  );
  await pool.query(
    "insert into usage_rollup select * from json_populate_recordset(null::usage_rollup, $1)",
    [JSON.stringify([...rollups.values()].map(rollupRow))],
  );
  await pool.query(
    `insert into usage_head select * from json_populate_recordset(null::usage_head, $1)`,
    [
      JSON.stringify(
        [...seqs].map(([owner, seq]) => {
          const [org_id, account_id] = owner.split(" ");
          return { org_id, account_id, version: 0, last_seq: String(seq), chain: "\\x00" };
        }),
      ),
    ],
  );
}

function samplesOf(index: MeterIndex, event: WrittenEvent, seq: bigint) {
  const { type, data, at } = event;
  const match = matchEvent(index, { type, data, isCorrection: event.corrects !== undefined });
  if (match.kind === "faulty") throw new Error(match.detail);
  if (match.kind === "unknown_meter") return [];
  return match.measurements.map(({ meter, quantity, thing, dimensions }) => ({
    meterKey: meter.key,
    dimensions,
    thing,
    sample: { at, seq, quantity: decimalOfUnits(quantity) },
  }));
}

const rollupRow = ({ keys, part }: { keys: readonly unknown[]; part: Part }) => ({
  org_id: keys[0],
  account_id: keys[1],
  meter_key: keys[2],
  bucket_at: keys[3],
  project_id: keys[4],
  dimensions: keys[5],
  event_count: part.eventCount,
  total: part.total.toFixed(),
  lowest: part.lowest?.toFixed() ?? null,
  highest: part.highest?.toFixed() ?? null,
  latest: part.latest?.quantity.toFixed() ?? null,
  latest_at: part.latest ? formatInstant(part.latest.at) : null,
  latest_seq: part.latest?.seq.toString() ?? null,
  corrected: false,
});

/** What one meter sees of the events, for the direct computation in the domain. */
export function seenBy(
  index: MeterIndex,
  meterKey: string,
  events: readonly WrittenEvent[],
): (MeasuredEvent & { readonly event: WrittenEvent; readonly dimensions: string })[] {
  const seqs = new Map<string, bigint>();
  return events.flatMap((event) => {
    const seq = (seqs.get(event.accountId) ?? 0n) + 1n;
    seqs.set(event.accountId, seq);
    return samplesOf(index, event, seq)
      .filter((one) => one.meterKey === meterKey)
      .map(({ dimensions, thing, sample }) => ({
        ...sample,
        eventKey: event.id,
        thing,
        dimensions,
        event,
        ...(event.corrects !== undefined && { corrects: event.corrects }),
      }));
  });
}
