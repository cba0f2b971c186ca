import { sql } from "kysely";
import { eventKey, payerIn } from "../domain/usage/index.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/** Where an event that others may correct was counted. */
export type CorrectedEvent = {
  readonly accountId: string;
  readonly accountName: string;
  readonly projectId: string;
};

/** The accounts and projects of stored events, by key (32 hex digits). */
export async function findCorrected(
  db: Db,
  orgId: string,
  keys: readonly string[],
): Promise<Map<string, CorrectedEvent>> {
  const { rows } = await sql<{ key: string; account_id: string; project_id: string }>`
    select replace(event_key::text, '-', '') as key, account_id, project_id from usage_event
    where org_id = ${orgId} and event_key = any(${keys}::uuid[])`.execute(db);
  return new Map(
    rows.map((row) => [row.key, { ...payerIn(orgId, row.account_id), projectId: row.project_id }]),
  );
}

/** A stored event, for people. */
export type ListedEvent = {
  readonly accountId: string;
  readonly projectId: string;
  readonly seq: bigint;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: Instant;
  /** The same, as the database wrote it: for cursors. */
  readonly timeText: string;
  readonly receivedAt: Instant;
  readonly data: Record<string, unknown>;
  /** The id of the corrected event. */
  readonly corrects: string | null;
  readonly link: string;
};

export type EventFilter = {
  readonly accountId?: string | undefined;
  readonly projectId?: string | undefined;
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly id?: string | undefined;
  readonly from?: Instant | undefined;
  readonly to?: Instant | undefined;
  readonly after?:
    | { readonly accountId: string; readonly time: string; readonly seq: string }
    | undefined;
  readonly limit: number;
};

type ListedRow = {
  account_id: string;
  project_id: string;
  seq: bigint;
  id: string;
  source: string;
  type: string;
  subject: string;
  time: string;
  received_at: string;
  data: Record<string, unknown>;
  corrects: string | null;
  link: string;
};

/** Stored events in the order account, event time, sequence. Accounts and projects by id or slug. */
export async function listEvents(
  db: Db,
  orgId: string,
  filter: EventFilter,
): Promise<ListedEvent[]> {
  const conditions = [sql`e.org_id = ${orgId}`];
  if (filter.accountId !== undefined)
    conditions.push(sql`e.account_id = coalesce(
      (select account_id from billing_account where org_id = ${orgId} and slug = ${filter.accountId}), ${filter.accountId})`);
  // Events are in order by account, whose organization is known: this is what leads to them.
  else
    conditions.push(
      sql`e.account_id in (select account_id from billing_account where org_id = ${orgId})`,
    );
  if (filter.projectId !== undefined)
    conditions.push(sql`e.project_id = coalesce(
      (select project_id from project where org_id = ${orgId} and slug = ${filter.projectId}), ${filter.projectId})`);
  if (filter.source !== undefined && filter.id !== undefined)
    conditions.push(sql`e.event_key = ${eventKey(filter.source, filter.id)}::uuid`);
  if (filter.source !== undefined) conditions.push(sql`e.source = ${filter.source}`);
  if (filter.id !== undefined) conditions.push(sql`e.id = ${filter.id}`);
  if (filter.type !== undefined) conditions.push(sql`e.type = ${filter.type}`);
  if (filter.from !== undefined)
    conditions.push(sql`e.time >= ${writeInstant(filter.from)}::timestamptz`);
  if (filter.to !== undefined)
    conditions.push(sql`e.time < ${writeInstant(filter.to)}::timestamptz`);
  if (filter.after !== undefined) {
    const { accountId, time, seq } = filter.after;
    conditions.push(
      sql`(e.account_id, e.time, e.seq) > (${accountId}, ${time}::timestamptz, ${seq}::bigint)`,
    );
  }
  const { rows } = await sql<ListedRow>`
    select e.account_id, e.project_id, e.seq, e.id, e.source, e.type, e.subject, e.time, e.received_at, e.data,
           (select o.id from usage_event o where o.org_id = e.org_id and o.event_key = e.corrects) as corrects,
           encode(e.chain, 'hex') as link
    from usage_event e where ${sql.join(conditions, sql` and `)}
    order by e.account_id, e.time, e.seq limit ${filter.limit}`.execute(db);
  return rows.map((row) => ({
    accountId: row.account_id,
    projectId: row.project_id,
    seq: row.seq,
    id: row.id,
    source: row.source,
    type: row.type,
    subject: row.subject,
    time: readInstant(row.time),
    timeText: row.time,
    receivedAt: readInstant(row.received_at),
    data: row.data,
    corrects: row.corrects,
    link: row.link,
  }));
}

/** An event that waits, or waited, in quarantine. */
export type QuarantinedEvent = {
  readonly key: string;
  readonly reason: string;
  readonly detail: string;
  readonly event: Record<string, unknown>;
  readonly receivedAt: Instant;
  readonly receivedAtText: string;
  readonly resolvedAt: Instant | null;
  readonly resolution: string | null;
};

export type QuarantineFilter = {
  readonly status: "open" | "resolved" | "all";
  readonly reason?: string | undefined;
  readonly keys?: readonly string[] | undefined;
  readonly after?: { readonly receivedAt: string; readonly key: string } | undefined;
  readonly limit: number;
};

/** Entries of the quarantine, oldest first. */
export async function listQuarantine(
  db: Db,
  orgId: string,
  filter: QuarantineFilter,
): Promise<QuarantinedEvent[]> {
  const conditions = [sql`org_id = ${orgId}`];
  if (filter.status === "open") conditions.push(sql`resolved_at is null`);
  if (filter.status === "resolved") conditions.push(sql`resolved_at is not null`);
  if (filter.reason !== undefined) conditions.push(sql`reason = ${filter.reason}`);
  if (filter.keys !== undefined) conditions.push(sql`event_key = any(${filter.keys}::uuid[])`);
  if (filter.after !== undefined)
    conditions.push(
      sql`(received_at, event_key) > (${filter.after.receivedAt}::timestamptz, ${filter.after.key}::uuid)`,
    );
  const { rows } = await sql<{
    key: string;
    reason: string;
    detail: string;
    event: string;
    received_at: string;
    resolved_at: string | null;
    resolution: string | null;
  }>`
    select replace(event_key::text, '-', '') as key, reason, detail, event::text as event, received_at, resolved_at,
           resolution
    from usage_quarantine where ${sql.join(conditions, sql` and `)}
    order by received_at, event_key limit ${filter.limit}`.execute(db);
  return rows.map((row) => {
    const { corrects_key: _, ...event } = JSON.parse(row.event) as Record<string, unknown>;
    return {
      key: row.key,
      reason: row.reason,
      detail: row.detail,
      event,
      receivedAt: readInstant(row.received_at),
      receivedAtText: row.received_at,
      resolvedAt: readInstantOrNull(row.resolved_at),
      resolution: row.resolution,
    };
  });
}

/** Close entries that will not be counted; those that are closed already stay as they are. */
export async function resolveQuarantine(
  db: Db,
  orgId: string,
  entries: readonly { key: string; resolution: string }[],
  now: Instant,
): Promise<void> {
  if (entries.length === 0) return;
  await sql`
    update usage_quarantine q set resolved_at = ${writeInstant(now)}::timestamptz, resolution = n.resolution
    from unnest(${entries.map((e) => e.key)}::uuid[], ${entries.map((e) => e.resolution)}::text[])
         as n (event_key, resolution)
    where q.org_id = ${orgId} and q.event_key = n.event_key and q.resolved_at is null`.execute(db);
}
