import pg from "pg";
import { type Units, writeUnits } from "../domain/grants/index.ts";
import {
  accountName,
  type Arrival,
  type Content,
  contentDigest,
  contentOf,
  eventName,
  firstLink,
  type Head,
  type Known,
  type QuarantineReason,
  rollupsOf,
  type Settlement,
} from "../domain/usage/index.ts";
import { formatInstant, type Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import { type PipelineStatement, runPipeline, type TextRows } from "./pipeline.ts";
import { type DrawToSave, drawStatements } from "./usage-draws.ts";
import { emptyScratch, encodeEvents, eventColumns, type Scratch } from "./usage-rows.ts";

/** Who pays for what, and what is measured, as of the versions a group of events was judged by. */
export type JudgedBy = {
  readonly catalogVersion: bigint;
  readonly directoryVersions: ReadonlyMap<string, bigint>;
};

export type AccountKey = { readonly orgId: string; readonly accountId: string };
export type EventKey = { readonly orgId: string; readonly key: string };

/**
 * A connection on which one committer saves one group of events after another, each in one transaction and, as long as
 * nothing is in the way, in one round trip.
 */
export type Lane = {
  readonly client: pg.Client;
  readonly unnamed: boolean;
  readonly scratch: Scratch;
};

// The heads of a group are visited in the order of the arrays, so that two groups can only wait for each other, never
// both at once. Every other way to join would visit them in an order of its own.
const settings =
  "set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; set enable_bitmapscan = off; set jit = off";

/** Connect like the pool does, beside it: a lane keeps its connection for as long as it lives. */
export async function openLane(pool: pg.Pool, unnamed = false): Promise<Lane> {
  const client = new pg.Client(pool.options);
  // A connection that breaks fails its query; between queries nobody needs to know.
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query(settings);
  } catch (error) {
    client.end().catch(() => {});
    throw error;
  }
  return { client, unnamed, scratch: emptyScratch() };
}

export function closeLane(lane: Lane): void {
  lane.client.end().catch(() => {});
}

/** Whether an open but idle lane keeps the process running. */
export function keepAlive(lane: Lane, busy: boolean): void {
  // Missing from the published types.
  const client = lane.client as pg.Client & { ref(): void; unref(): void };
  if (busy) client.ref();
  else client.unref();
}

const run = (lane: Lane, statements: readonly PipelineStatement[]): Promise<TextRows[]> =>
  runPipeline(lane.client, statements, lane.unnamed);

/** Why a group could not be saved as it was settled, when that is an ordinary event. */
export type Objection =
  /** Somebody else has written to one of the accounts since its head was read. */
  | "heads_moved"
  /** The catalog or a directory is another one than the events were judged by. */
  | "rules_moved"
  /** One of the events is stored already. */
  | "known_event"
  /** Another transaction was in the way; nothing is wrong. */
  | "collision";

/** Read an error of `saveAtOnce` or `saveLocked`; undefined when it is a real one. */
export function objectionIn(error: unknown): Objection | undefined {
  const { code, constraint } = error as { code?: string; constraint?: string };
  if (code === "22012") return "heads_moved";
  if (code === "2201F") return "rules_moved";
  if (code === "23505") return constraint === "usage_event_once" ? "known_event" : "collision";
  return code === "40001" || code === "40P01" ? "collision" : undefined;
}

/** Save a settled group as one transaction in one round trip, on the condition that what it was settled by still holds. */
export async function saveAtOnce(
  lane: Lane,
  group: Settlement,
  draws: readonly DrawToSave[],
  judgedBy: JudgedBy,
): Promise<void> {
  // The rules last: compared while the heads are held, as a back-fill of a new meter relies on.
  await run(lane, [...saving(lane, group), ...drawStatements(draws), checkRules(judgedBy)]);
}

/** Begin a transaction and hold the heads of these accounts, in order, in a statement of its own. */
export async function lockHeads(
  lane: Lane,
  accounts: readonly AccountKey[],
  judgedBy: JudgedBy,
): Promise<Map<string, Head>> {
  const results = await run(lane, [
    { name: "tl_begin", text: "begin" },
    ensureHeads(accounts),
    { ...headsOf(accounts, "for update of h"), name: "tl_lock_heads" },
    // Under the locks: a meter that comes after this moment counts these events back (flows/backfill-meter.ts).
    checkRules(judgedBy),
  ]);
  return headMap(results[2] ?? []);
}

/** Read heads without holding them; accounts that have none yet get one. */
export async function readHeads(
  lane: Lane,
  accounts: readonly AccountKey[],
): Promise<Map<string, Head>> {
  const results = await run(lane, [ensureHeads(accounts), headsOf(accounts, "")]);
  return headMap(results[1] ?? []);
}

/** Save within the transaction that `lockHeads` began, and commit it. */
export async function saveLocked(
  lane: Lane,
  group: Settlement,
  draws: readonly DrawToSave[],
): Promise<void> {
  const commit = { name: "tl_commit", text: "commit" };
  await run(lane, [...saving(lane, group), ...drawStatements(draws), commit]);
}

export async function undo(lane: Lane): Promise<void> {
  await lane.client.query("rollback");
}

/** What is stored under these identities: counted, or held. */
export async function loadKnown(
  lane: Lane,
  events: readonly EventKey[],
): Promise<Map<string, Known>> {
  const values = [textArray(events.map((e) => e.orgId)), textArray(events.map((e) => e.key))];
  const results = await run(lane, [
    {
      name: "tl_known_events",
      text: `select e.org_id, replace(e.event_key::text, '-', ''), e.type, e.subject, e.time, e.data::text,
                    replace(e.corrects::text, '-', '')
             from unnest($1::text[], $2::uuid[]) as n (org_id, event_key)
             join usage_event e on e.org_id = n.org_id and e.event_key = n.event_key`,
      values,
    },
    {
      name: "tl_known_held",
      text: `select q.org_id, replace(q.event_key::text, '-', ''), q.event ->> 'type', q.event ->> 'subject',
                    q.event ->> 'time', (q.event -> 'data')::text, q.event ->> 'corrects_key', q.reason
             from unnest($1::text[], $2::uuid[]) as n (org_id, event_key)
             join usage_quarantine q on q.org_id = n.org_id and q.event_key = n.event_key
             where q.resolved_at is null`,
      values,
    },
  ]);
  const known = new Map<string, Known>();
  for (const row of results[1] ?? [])
    known.set(eventName(cell(row, 0), cell(row, 1)), {
      content: contentIn(row),
      held: cell(row, 7) as QuarantineReason,
    });
  for (const row of results[0] ?? [])
    known.set(eventName(cell(row, 0), cell(row, 1)), { content: contentIn(row), held: null });
  return known;
}

/** An event that others correct, and those that correct it already, as they are stored. */
export type StoredOriginal = EventKey & {
  readonly accountId: string;
  readonly projectId: string;
  readonly content: Content;
  readonly corrections: readonly Content[];
};

export async function loadOriginals(
  lane: Lane,
  events: readonly EventKey[],
): Promise<StoredOriginal[]> {
  const values = [textArray(events.map((e) => e.orgId)), textArray(events.map((e) => e.key))];
  const columns = `replace(e.event_key::text, '-', ''), e.type, e.subject, e.time, e.data::text,
                   replace(e.corrects::text, '-', ''), e.account_id, e.project_id`;
  const results = await run(lane, [
    {
      name: "tl_originals",
      text: `select e.org_id, ${columns}
             from unnest($1::text[], $2::uuid[]) as n (org_id, event_key)
             join usage_event e on e.org_id = n.org_id and e.event_key = n.event_key`,
      values,
    },
    {
      name: "tl_corrections",
      text: `select e.org_id, ${columns}
             from unnest($1::text[], $2::uuid[]) as n (org_id, event_key)
             join usage_event e on e.org_id = n.org_id and e.corrects = n.event_key`,
      values,
    },
  ]);
  const corrections = results[1] ?? [];
  return (results[0] ?? []).map((row) => ({
    orgId: cell(row, 0),
    key: cell(row, 1),
    accountId: cell(row, 7),
    projectId: cell(row, 8),
    content: contentIn(row),
    corrections: corrections
      .filter((other) => other[0] === row[0] && other[6] === row[1])
      .map(contentIn),
  }));
}

const cell = (row: readonly (string | null)[], index: number): string => row[index] ?? "";

const contentIn = (row: readonly (string | null)[]): Content => ({
  type: cell(row, 2),
  subject: cell(row, 3),
  time: readInstant(cell(row, 4)),
  dataText: cell(row, 5),
  corrects: row[6] ?? null,
});

function headMap(rows: TextRows): Map<string, Head> {
  return new Map(
    rows.map((row) => [
      accountName(cell(row, 0), cell(row, 1)),
      { version: Number(row[2]), seq: Number(row[3]), link: cell(row, 4) },
    ]),
  );
}

function checkRules({ catalogVersion, directoryVersions }: JudgedBy): PipelineStatement {
  const orgs = [...directoryVersions.keys()];
  return {
    name: "tl_check_rules",
    text: `select sqrt(case when (select version from catalog_version) = $1::bigint
                             and not exists (select 1 from unnest($2::text[], $3::bigint[]) as j (org_id, version)
                                             left join directory_version d on d.org_id = j.org_id
                                             where coalesce(d.version, 0) <> j.version)
                        then 1 else -1 end)`,
    values: [
      String(catalogVersion),
      textArray(orgs),
      plainArray(orgs.map((org) => directoryVersions.get(org) ?? 0n)),
    ],
  };
}

function ensureHeads(accounts: readonly AccountKey[]): PipelineStatement {
  return {
    name: "tl_ensure_heads",
    text: `insert into usage_head (org_id, account_id, chain)
           select n.org_id, n.account_id, decode($3, 'hex') from unnest($1::text[], $2::text[]) as n (org_id, account_id)
           where not exists (select 1 from usage_head h where h.org_id = n.org_id and h.account_id = n.account_id)
           order by 1, 2 on conflict do nothing`,
    values: [
      textArray(accounts.map((a) => a.orgId)),
      textArray(accounts.map((a) => a.accountId)),
      firstLink,
    ],
  };
}

function headsOf(accounts: readonly AccountKey[], locking: string): PipelineStatement {
  return {
    name: "tl_read_heads",
    text: `select h.org_id, h.account_id, h.version, h.last_seq, encode(h.chain, 'hex')
           from usage_head h join unnest($1::text[], $2::text[]) as n (org_id, account_id)
             on h.org_id = n.org_id and h.account_id = n.account_id
           order by h.org_id collate "C", h.account_id collate "C" ${locking}`,
    values: [textArray(accounts.map((a) => a.orgId)), textArray(accounts.map((a) => a.accountId))],
  };
}

function saving(lane: Lane, group: Settlement): PipelineStatement[] {
  const statements: PipelineStatement[] = [];
  if (group.accounts.length > 0) {
    statements.push(moveHeads(group), {
      name: "tl_events",
      text: `copy usage_event (${eventColumns}) from stdin (format binary)`,
      copy: encodeEvents(group.accounts, lane.scratch),
    });
    const rollups = addRollups(group);
    if (rollups) statements.push(rollups);
  }
  if (group.held.length > 0) statements.push(hold(group.held));
  if (group.released.length > 0) statements.push(release(group.released));
  if (group.conflicts.length > 0) statements.push(logConflicts(group.conflicts));
  return statements;
}

// Compare and set: every head must still be at the version it was settled by, or the whole transaction is undone.
function moveHeads({ accounts }: Settlement): PipelineStatement {
  return {
    name: "tl_move_heads",
    text: `with moved as (
             update usage_head h
             set version = h.version + 1, last_seq = m.seq, chain = m.chain
             from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[])
                  as m (org_id, account_id, version, seq, chain)
             where h.org_id = m.org_id and h.account_id = m.account_id and h.version = m.version
             returning 1)
           select 1 / (case when (select count(*) from moved) = $6::bigint then 1 else 0 end)`,
    values: [
      textArray(accounts.map((a) => a.orgId)),
      textArray(accounts.map((a) => a.accountId)),
      plainArray(accounts.map((a) => a.before.version)),
      plainArray(accounts.map((a) => a.seq)),
      byteArray(accounts.map((a) => a.link)),
      String(accounts.length),
    ],
  };
}

function addRollups(group: Settlement): PipelineStatement | undefined {
  const deltas = rollupsOf(group);
  if (deltas.length === 0) return undefined;
  return {
    name: "tl_rollups",
    text: `insert into usage_rollup as r (org_id, account_id, meter_key, bucket_at, project_id, dimensions, event_count,
                                          total, lowest, highest, latest, latest_at, latest_seq, corrected)
           select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::bigint[],
                                $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[], $12::timestamptz[],
                                $13::bigint[], $14::boolean[])
           on conflict (org_id, account_id, meter_key, bucket_at, project_id, dimensions) do update
           set event_count = r.event_count + excluded.event_count,
               total = r.total + excluded.total,
               lowest = least(r.lowest, excluded.lowest),
               highest = greatest(r.highest, excluded.highest),
               latest = case when ${isLater} then excluded.latest else r.latest end,
               latest_at = case when ${isLater} then excluded.latest_at else r.latest_at end,
               latest_seq = case when ${isLater} then excluded.latest_seq else r.latest_seq end,
               corrected = r.corrected or excluded.corrected`,
    values: [
      textArray(deltas.map((d) => d.orgId)),
      textArray(deltas.map((d) => d.accountId)),
      textArray(deltas.map((d) => d.meterKey)),
      instantArray(deltas.map((d) => d.bucketAt)),
      textArray(deltas.map((d) => d.projectId)),
      textArray(deltas.map((d) => d.dimensions)),
      plainArray(deltas.map((d) => d.eventCount)),
      unitsArray(deltas.map((d) => d.total)),
      unitsArray(deltas.map((d) => d.lowest)),
      unitsArray(deltas.map((d) => d.highest)),
      unitsArray(deltas.map((d) => d.latest)),
      instantArray(deltas.map((d) => d.latestAt)),
      plainArray(deltas.map((d) => d.latestSeq)),
      plainArray(deltas.map((d) => d.corrected)),
    ],
  };
}

const isLater = `(excluded.latest_at is not null and (r.latest_at is null
                   or (excluded.latest_at, excluded.latest_seq) > (r.latest_at, r.latest_seq)))`;

/** The event as the quarantine keeps it: what it said, in words that a person and a replay can read. */
function heldEvent({ event }: Arrival): string {
  const { corrects } = contentOf(event);
  const members = [
    `"id":${JSON.stringify(event.id)}`,
    `"source":${JSON.stringify(event.source)}`,
    `"type":${JSON.stringify(event.type)}`,
    `"subject":${JSON.stringify(event.subject)}`,
    `"time":${JSON.stringify(formatInstant(event.time))}`,
    ...(event.corrects === null
      ? []
      : [
          `"corrects":${JSON.stringify(event.corrects)}`,
          `"corrects_key":${JSON.stringify(corrects)}`,
        ]),
    `"data":${event.dataText}`,
  ];
  return `{${members.join(",")}}`;
}

const inKeyOrder = (arrivals: readonly Arrival[]): Arrival[] =>
  arrivals.toSorted((a, b) => (eventName(a.orgId, a.key) < eventName(b.orgId, b.key) ? -1 : 1));

function hold(held: readonly Arrival[]): PipelineStatement {
  const arrivals = inKeyOrder(held);
  const verdicts = arrivals.map(({ verdict }) =>
    verdict.kind === "quarantined" ? verdict : { reason: "unknown_meter", detail: "" },
  );
  return {
    name: "tl_hold",
    text: `insert into usage_quarantine (org_id, event_key, reason, detail, event, received_at)
           select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::json[], $6::timestamptz[])
           on conflict (org_id, event_key) do update
           set reason = excluded.reason, detail = excluded.detail, event = excluded.event,
               received_at = excluded.received_at, resolved_at = null, resolution = null
           where usage_quarantine.resolved_at is not null`,
    values: [
      textArray(arrivals.map((a) => a.orgId)),
      plainArray(arrivals.map((a) => a.key)),
      textArray(verdicts.map((v) => v.reason)),
      textArray(verdicts.map((v) => v.detail)),
      textArray(arrivals.map(heldEvent)),
      instantArray(arrivals.map((a) => a.receivedAt)),
    ],
  };
}

function release(released: readonly Arrival[]): PipelineStatement {
  const arrivals = inKeyOrder(released);
  return {
    name: "tl_release",
    text: `update usage_quarantine q set resolved_at = n.at, resolution = 'accepted'
           from unnest($1::text[], $2::uuid[], $3::timestamptz[]) as n (org_id, event_key, at)
           where q.org_id = n.org_id and q.event_key = n.event_key and q.resolved_at is null`,
    values: [
      textArray(arrivals.map((a) => a.orgId)),
      plainArray(arrivals.map((a) => a.key)),
      instantArray(arrivals.map((a) => a.receivedAt)),
    ],
  };
}

function logConflicts(conflicts: readonly Arrival[]): PipelineStatement {
  const arrivals = inKeyOrder(conflicts);
  return {
    name: "tl_conflicts",
    text: `insert into usage_conflict (org_id, event_key, digest, event, received_at)
           select * from unnest($1::text[], $2::uuid[], $3::bytea[], $4::json[], $5::timestamptz[])
           on conflict do nothing`,
    values: [
      textArray(arrivals.map((a) => a.orgId)),
      plainArray(arrivals.map((a) => a.key)),
      byteArray(arrivals.map((a) => contentDigest(contentOf(a.event)))),
      textArray(arrivals.map(heldEvent)),
      instantArray(arrivals.map((a) => a.receivedAt)),
    ],
  };
}

/** An array literal of values that need no quotes. */
const plainArray = (values: readonly (string | number | bigint | boolean | null)[]): string =>
  `{${values.map((value) => (value === null ? "NULL" : String(value))).join(",")}}`;

const unitsArray = (values: readonly (Units | null)[]): string =>
  plainArray(values.map((value) => (value === null ? null : writeUnits(value))));

// Not the word NULL, which is another thing without quotes.
const needsNoQuotes = /^[a-z][a-z0-9_.]*_[a-z0-9_.]*$/;
const quoted = (text: string): string =>
  needsNoQuotes.test(text)
    ? text
    : /["\\]/.test(text)
      ? `"${text.replaceAll(/["\\]/g, "\\$&")}"`
      : `"${text}"`;

const textArray = (values: readonly string[]): string => `{${values.map(quoted).join(",")}}`;

const byteArray = (hex: readonly string[]): string =>
  `{${hex.map((digits) => `"\\\\x${digits}"`).join(",")}}`;

function instantArray(values: readonly (Instant | null)[]): string {
  const written = values.map((at) => (at === null ? "NULL" : `"${writeInstant(at)}"`));
  return `{${written.join(",")}}`;
}
