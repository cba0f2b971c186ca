import { sql } from "kysely";
import type { Blocker, Override, RunStep } from "../domain/invoicing/index.ts";
import type { LastHeard } from "../domain/usage/index.ts";
import { contains, type Instant, instant, type Period, tryInstant } from "../kit/time.ts";
import { readInstant, readInstantOrNull, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { type AccountKey, accountKeyText, pushTo } from "./invoice-facts.ts";
import { livesInTime } from "./organizations.ts";

export type BillingRun = {
  readonly runId: string;
  readonly orgId: string | null;
  readonly asOf: Instant;
  readonly collectedAt: Instant | null;
  readonly closedAt: Instant | null;
  readonly createdBy: string;
  readonly createdAt: Instant;
};

export type RunItemStatus = "waiting" | "blocked" | "issued" | "nothing";

export type RunItem = AccountKey & {
  readonly runId: string;
  readonly period: Period;
  readonly status: RunItemStatus;
  readonly step: RunStep;
  readonly blockers: readonly Blocker[];
  readonly overrides: readonly Override[];
  readonly invoiceId: string | null;
};

export async function insertRun(db: Db, run: BillingRun): Promise<void> {
  await sql`
    insert into billing_run (run_id, org_id, as_of, created_by, created_at)
    values (${run.runId}, ${run.orgId}, ${writeInstant(run.asOf)}, ${run.createdBy}, ${writeInstant(run.createdAt)})`.execute(
    db,
  );
}

type RunRow = {
  run_id: string;
  org_id: string | null;
  as_of: string;
  collected_at: string | null;
  closed_at: string | null;
  created_by: string;
  created_at: string;
};

const runOf = (row: RunRow): BillingRun => ({
  runId: row.run_id,
  orgId: row.org_id,
  asOf: readInstant(row.as_of),
  collectedAt: readInstantOrNull(row.collected_at),
  closedAt: readInstantOrNull(row.closed_at),
  createdBy: row.created_by,
  createdAt: readInstant(row.created_at),
});

export async function findRun(db: Db, runId: string): Promise<BillingRun | undefined> {
  const { rows } = await sql<RunRow>`
    select * from billing_run where run_id = ${runId}`.execute(db);
  return rows[0] && runOf(rows[0]);
}

/** Runs on which there may be something left to do; without an organization, those of everybody in real time. */
export async function listOpenRuns(db: Db, orgId: string | undefined): Promise<BillingRun[]> {
  const { rows } = await sql<RunRow>`
    select r.* from billing_run r
    where r.closed_at is null and (r.org_id is not null or ${orgId === undefined})
      and ${livesInTime(sql`r.org_id`, orgId)}
      and (r.collected_at is null or not exists (select from billing_run_item i where i.run_id = r.run_id)
        or exists (select from billing_run_item i where i.run_id = r.run_id and i.status <> 'blocked'))
    order by r.run_id`.execute(db);
  return rows.map(runOf);
}

/** Those account periods that no other run has looked at. */
export async function withoutSeen<T extends AccountKey & { period: Period }>(
  db: Db,
  due: readonly T[],
  runId: string,
): Promise<T[]> {
  if (due.length === 0) return [];
  const { rows } = await sql<{ n: number }>`
    select x.n::int as n
    from unnest(${due.map((d) => d.orgId)}::text[], ${due.map((d) => d.accountId)}::text[],
      ${due.map((d) => writeInstant(d.period.startsAt))}::timestamptz[]) with ordinality as x (org_id, account_id, starts_at, n)
    where not exists (
      select from billing_run_item i where i.org_id = x.org_id and i.account_id = x.account_id
        and i.period_starts_at = x.starts_at and i.run_id <> ${runId})
    order by x.n`.execute(db);
  return rows.map((row) => due[row.n - 1] as T);
}

export async function markRunCollected(db: Db, runId: string, now: Instant): Promise<void> {
  await sql`
    update billing_run set collected_at = coalesce(collected_at, ${writeInstant(now)})
    where run_id = ${runId}`.execute(db);
}

/** Close a run when nothing of it is open any more. */
export async function closeRun(db: Db, runId: string, now: Instant): Promise<void> {
  await sql`
    update billing_run set closed_at = ${writeInstant(now)}
    where run_id = ${runId} and closed_at is null and collected_at is not null and not exists (
      select from billing_run_item i where i.run_id = ${runId} and i.status in ('waiting', 'blocked'))`.execute(
    db,
  );
}

/** Add account periods to a run. Those it has already stay as they are. */
export async function insertRunItems(
  db: Db,
  runId: string,
  items: readonly (AccountKey & { period: Period })[],
  now: Instant,
): Promise<void> {
  if (items.length === 0) return;
  await sql`
    insert into billing_run_item (org_id, run_id, account_id, period_starts_at, period_ends_at, status, step, changed_at)
    select x.org_id, ${runId}, x.account_id, x.starts_at, x.ends_at, 'waiting', 'collect', ${writeInstant(now)}
    from unnest(${items.map((i) => i.orgId)}::text[], ${items.map((i) => i.accountId)}::text[],
                ${items.map((i) => writeInstant(i.period.startsAt))}::timestamptz[],
                ${items.map((i) => writeInstant(i.period.endsAt))}::timestamptz[])
      as x (org_id, account_id, starts_at, ends_at)
    on conflict do nothing`.execute(db);
}

type ItemRow = {
  org_id: string;
  run_id: string;
  account_id: string;
  period_starts_at: string;
  period_ends_at: string;
  status: RunItemStatus;
  step: RunStep;
  blockers: Blocker[];
  overrides: Override[];
  invoice_id: string | null;
};

const itemOf = (row: ItemRow): RunItem => ({
  orgId: row.org_id,
  accountId: row.account_id,
  runId: row.run_id,
  period: {
    startsAt: readInstant(row.period_starts_at),
    endsAt: readInstant(row.period_ends_at),
  },
  status: row.status,
  step: row.step,
  blockers: row.blockers,
  overrides: row.overrides,
  invoiceId: row.invoice_id,
});

/**
 * Take waiting items for the length of a transaction, skipping those that other workers hold. A worker that dies lets go of
 * them with its connection. One account's periods are taken oldest first and one at a time, so that each sees the one
 * before it issued.
 */
export async function claimRunItems(tx: Tx, runId: string, limit: number): Promise<RunItem[]> {
  const { rows } = await sql<ItemRow>`
    select i.* from billing_run_item i
    where i.run_id = ${runId} and i.status = 'waiting' and not exists (
      select from billing_run_item older
      where older.org_id = i.org_id and older.run_id = i.run_id and older.account_id = i.account_id
        and older.period_starts_at < i.period_starts_at and older.status in ('waiting', 'blocked'))
    order by i.period_starts_at, i.org_id, i.account_id limit ${limit}
    for update of i skip locked`.execute(tx);
  return rows.map(itemOf);
}

export type ItemOutcome = AccountKey & {
  readonly period: Period;
  readonly status: RunItemStatus;
  readonly step: RunStep;
  readonly blockers: readonly Blocker[];
  readonly invoiceId: string | null;
};

/** Write down what became of items. */
export async function saveRunItems(
  tx: Tx,
  runId: string,
  outcomes: readonly ItemOutcome[],
  now: Instant,
): Promise<void> {
  if (outcomes.length === 0) return;
  await sql`
    update billing_run_item i
    set status = x.status, step = x.step, blockers = x.blockers::jsonb, invoice_id = x.invoice_id,
        changed_at = ${writeInstant(now)}
    from unnest(${outcomes.map((o) => o.orgId)}::text[], ${outcomes.map((o) => o.accountId)}::text[],
                ${outcomes.map((o) => writeInstant(o.period.startsAt))}::timestamptz[],
                ${outcomes.map((o) => o.status)}::text[], ${outcomes.map((o) => o.step)}::text[],
                ${outcomes.map((o) => JSON.stringify(o.blockers))}::text[],
                ${outcomes.map((o) => o.invoiceId)}::text[])
      as x (org_id, account_id, starts_at, status, step, blockers, invoice_id)
    where i.org_id = x.org_id and i.run_id = ${runId} and i.account_id = x.account_id
      and i.period_starts_at = x.starts_at`.execute(tx);
}

/** Let blocked items be looked at again: all of a run, or those of one account. */
export async function retryRunItems(
  db: Db,
  runId: string,
  of: AccountKey | null,
  override: Override | null,
  now: Instant,
): Promise<bigint> {
  const { numAffectedRows } = await sql`
    update billing_run_item
    set status = 'waiting', changed_at = ${writeInstant(now)},
        overrides = overrides || ${JSON.stringify(override ? [override] : [])}::jsonb
    where run_id = ${runId} and status = 'blocked'
      and (${of?.orgId ?? null}::text is null
           or (org_id = ${of?.orgId ?? null} and account_id = ${of?.accountId ?? null}))`.execute(
    db,
  );
  return numAffectedRows ?? 0n;
}

export type RunCount = {
  readonly status: RunItemStatus;
  readonly step: RunStep;
  readonly count: number;
};

/** How many items of a run stand where. */
export async function countRunItems(db: Db, runId: string): Promise<RunCount[]> {
  const { rows } = await sql<{ status: RunItemStatus; step: RunStep; count: bigint }>`
    select status, step, count(*) as count from billing_run_item
    where run_id = ${runId} group by 1, 2`.execute(db);
  return rows.map((row) => ({ ...row, count: Number(row.count) }));
}

/** The items of a run, by account, from a position on. */
export async function pageRunItems(
  db: Db,
  runId: string,
  page: {
    status?: RunItemStatus | undefined;
    after?: { accountId: string; startsAt: string } | undefined;
    limit: number;
  },
): Promise<RunItem[]> {
  const { rows } = await sql<ItemRow>`
    select * from billing_run_item
    where run_id = ${runId} and (${page.status ?? null}::text is null or status = ${page.status ?? null})
      and (${page.after?.accountId ?? null}::text is null or (account_id, period_starts_at)
           > (${page.after?.accountId ?? null}, ${page.after?.startsAt ?? null}::timestamptz))
    order by account_id, period_starts_at limit ${page.limit}`.execute(db);
  return rows.map(itemOf);
}

/** What a run must know of an account to find its due periods: when it began to owe anything, and which periods have their invoice. */
export type RunHistory = {
  readonly firstAt: Instant | null;
  readonly starts: ReadonlySet<Instant>;
};

export async function loadRunHistories(
  db: Db,
  keys: readonly AccountKey[],
): Promise<Map<string, RunHistory>> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    first_at: string | null;
    starts: string[] | null;
  }>`
    select k.org_id, k.account_id,
      -- Whatever comes first: an account on a plan owes its fee before, and without, any usage.
      least(
        (select min(e.time) from usage_event e where e.org_id = k.org_id and e.account_id = k.account_id),
        (select min(s.starts_at) from subscription s where s.org_id = k.org_id and s.account_id = k.account_id),
        (select min(p.created_at) from purchase p where p.org_id = k.org_id and p.account_id = k.account_id)
      ) as first_at,
      (select array_agg(i.period_starts_at::text) from invoice i
       where i.org_id = k.org_id and i.account_id = k.account_id and i.kind = 'invoice' and i.status <> 'void') as starts
    from unnest(${keys.map((k) => k.orgId)}::text[], ${keys.map((k) => k.accountId)}::text[])
      as k (org_id, account_id)`.execute(db);
  return new Map(
    rows.map((row) => [
      accountKeyText(row.org_id, row.account_id),
      {
        firstAt: readInstantOrNull(row.first_at),
        starts: new Set((row.starts ?? []).map(readInstant)),
      },
    ]),
  );
}

/**
 * Meters that an account used in a period and not in its last day nor since: when last, and in how many of the 24 hours before.
 * Two looks into the index for each meter of each account; nothing more where usage goes on.
 */
export async function listQuietMeters(
  db: Db,
  spans: readonly (AccountKey & { period: Period })[],
  meterKeys: readonly string[],
): Promise<Map<string, (LastHeard & { readonly meterKey: string })[]>> {
  const { rows } = await sql<{
    org_id: string;
    account_id: string;
    meter_key: string;
    last_at: string;
    busy_hours: number;
  }>`
    select x.org_id, x.account_id, m.key as meter_key, last.bucket_at as last_at, busy.hours as busy_hours
    from unnest(${spans.map((s) => s.orgId)}::text[], ${spans.map((s) => s.accountId)}::text[],
                ${spans.map((s) => writeInstant(s.period.startsAt))}::timestamptz[],
                ${spans.map((s) => writeInstant(s.period.endsAt))}::timestamptz[]) as x (org_id, account_id, starts_at, ends_at)
    cross join unnest(${[...meterKeys]}::text[]) as m (key)
    join lateral (
      select r.bucket_at from usage_rollup r
      where r.org_id = x.org_id and r.account_id = x.account_id and r.meter_key = m.key
      order by r.bucket_at desc limit 1) last on last.bucket_at >= x.starts_at and last.bucket_at < x.ends_at - interval '1 day'
    cross join lateral (
      select count(distinct date_bin('1 hour', r.bucket_at, '2000-01-01Z'))::int as hours from usage_rollup r
      where r.org_id = x.org_id and r.account_id = x.account_id and r.meter_key = m.key
        and r.bucket_at > last.bucket_at - interval '1 day' and r.bucket_at <= last.bucket_at) busy
    order by 1, 2, 3`.execute(db);
  const found = new Map<string, (LastHeard & { meterKey: string })[]>();
  for (const row of rows)
    pushTo(found, accountKeyText(row.org_id, row.account_id), {
      meterKey: row.meter_key,
      lastAt: readInstant(row.last_at),
      busyHours: row.busy_hours,
    });
  return found;
}

type HeldRow = {
  org_id: string;
  time: string | null;
  project_id: string | null;
  bindings: readonly { account_id: string | null; effective_from: string }[] | null;
};

/**
 * How many events in quarantine may belong to each account's period: those whose subject is a project that the account paid
 * for at their time, and those that nobody can say that of.
 */
export async function countQuarantined(
  db: Db,
  spans: readonly (AccountKey & { period: Period })[],
): Promise<Map<string, bigint>> {
  const orgs = [...new Set(spans.map((span) => span.orgId))];
  const { rows } = await sql<HeldRow>`
    select q.org_id, q.event ->> 'time' as time, p.project_id,
      (select json_agg(json_build_object('account_id', b.account_id, 'effective_from', b.effective_from)
                       order by b.effective_from)
       from binding b where b.org_id = q.org_id and b.project_id = p.project_id) as bindings
    from usage_quarantine q
    left join subject s on s.org_id = q.org_id and s.subject = q.event ->> 'subject'
    left join project p on p.org_id = q.org_id
      and (p.project_id = s.project_id or p.project_id = q.event ->> 'subject' or p.slug = q.event ->> 'subject')
    where q.resolved_at is null and q.org_id = any(${orgs}::text[])`.execute(db);
  const held = rows.map((row) => ({ orgId: row.org_id, ...placeOf(row) }));
  return new Map(
    spans.map((span) => {
      const mine = held.filter(
        (one) =>
          one.orgId === span.orgId &&
          (one.accountId === undefined || one.accountId === span.accountId) &&
          (one.at === undefined || contains(span.period, one.at)),
      );
      return [accountKeyText(span.orgId, span.accountId), BigInt(mine.length)];
    }),
  );
}

// Undefined where it cannot be known: an event without a time may be of any period, one without a payer of any account.
function placeOf(row: HeldRow): { at: Instant | undefined; accountId: string | undefined } {
  const at = row.time === null ? undefined : tryInstant(row.time);
  if (at === undefined) return { at, accountId: undefined };
  const inForce = (row.bindings ?? []).findLast((binding) => instant(binding.effective_from) <= at);
  return { at, accountId: inForce?.account_id ?? undefined };
}
