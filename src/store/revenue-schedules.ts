import { type Selectable, sql } from "kysely";
import { nextEarning, type RunningSchedule } from "../domain/revenue/index.ts";
import { currency } from "../kit/currency.ts";
import { money } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db, Tx } from "./connect.ts";
import { livesInTime } from "./organizations.ts";
import type { RevenueScheduleTable } from "./tables.ts";

export type StoredSchedule = RunningSchedule & { readonly orgId: string };

const scheduleOf = (row: Selectable<RevenueScheduleTable>): StoredSchedule => {
  const code = currency(row.currency);
  return {
    orgId: row.org_id,
    invoiceId: row.invoice_id,
    lineNo: row.line_no,
    accountId: row.account_id,
    sku: row.sku_code,
    goesTo: row.goes_to as RunningSchedule["goesTo"],
    amount: money(code, row.amount_minor),
    earned: money(code, row.earned_minor),
    over: { startsAt: readInstant(row.starts_at), endsAt: readInstant(row.ends_at) },
    timeZone: row.time_zone,
    earnedUntil: readInstant(row.earned_until),
    policyVersion: row.policy_version,
  };
};

export async function insertSchedules(tx: Tx, schedules: readonly StoredSchedule[]): Promise<void> {
  if (schedules.length === 0) return;
  await tx
    .insertInto("revenue_schedule")
    .values(
      schedules.map((one) => ({
        org_id: one.orgId,
        invoice_id: one.invoiceId,
        line_no: one.lineNo,
        account_id: one.accountId,
        sku_code: one.sku,
        goes_to: one.goesTo,
        currency: one.amount.currency,
        amount_minor: one.amount.minor,
        earned_minor: one.earned.minor,
        starts_at: writeInstant(one.over.startsAt),
        ends_at: writeInstant(one.over.endsAt),
        time_zone: one.timeZone,
        earned_until: writeInstant(one.earnedUntil),
        next_at: nextText(nextEarning(one, one.earnedUntil)),
        policy_version: one.policyVersion,
      })),
    )
    .execute();
}

/** Schedules with a part that has come due, held until commit; those that somebody else holds are left to them. */
export async function claimDueSchedules(
  tx: Tx,
  now: Instant,
  of: { readonly orgId?: string | undefined; readonly limit: number },
): Promise<StoredSchedule[]> {
  const { rows } = await sql<Selectable<RevenueScheduleTable>>`
    select s.* from revenue_schedule s
    where s.next_at <= ${writeInstant(now)}::timestamptz and ${livesInTime(sql`s.org_id`, of.orgId)}
    order by s.org_id, s.invoice_id, s.line_no limit ${of.limit} for update skip locked`.execute(
    tx,
  );
  return rows.map(scheduleOf);
}

/** Say how far schedules have come. */
export async function saveSchedules(tx: Tx, schedules: readonly StoredSchedule[]): Promise<void> {
  await sql`
    update revenue_schedule s
    set earned_minor = u.earned, earned_until = u.until, next_at = u.next
    from unnest(${schedules.map((s) => s.orgId)}::text[], ${schedules.map((s) => s.invoiceId)}::text[],
                ${schedules.map((s) => s.lineNo)}::integer[],
                ${schedules.map((s) => s.earned.minor.toString())}::bigint[],
                ${schedules.map((s) => writeInstant(s.earnedUntil))}::timestamptz[],
                ${schedules.map((s) => nextText(nextEarning(s, s.earnedUntil)))}::timestamptz[])
      as u (org_id, invoice_id, line_no, earned, until, next)
    where s.org_id = u.org_id and s.invoice_id = u.invoice_id and s.line_no = u.line_no`.execute(
    tx,
  );
}

/** The schedules of a document, held until commit. */
export async function lockSchedules(
  tx: Tx,
  orgId: string,
  invoiceId: string,
): Promise<StoredSchedule[]> {
  const { rows } = await sql<Selectable<RevenueScheduleTable>>`
    select * from revenue_schedule where org_id = ${orgId} and invoice_id = ${invoiceId}
    order by line_no for update`.execute(tx);
  return rows.map(scheduleOf);
}

/** Nothing more is earned of a document. */
export async function endSchedules(tx: Tx, orgId: string, invoiceId: string): Promise<void> {
  await sql`
    update revenue_schedule set next_at = null, earned_minor = 0, amount_minor = 0
    where org_id = ${orgId} and invoice_id = ${invoiceId}`.execute(tx);
}

/** Every schedule of an organization. */
export async function listSchedules(db: Db, orgId: string): Promise<StoredSchedule[]> {
  const { rows } = await sql<Selectable<RevenueScheduleTable>>`
    select * from revenue_schedule where org_id = ${orgId} order by invoice_id, line_no`.execute(
    db,
  );
  return rows.map(scheduleOf);
}

const nextText = (at: Instant | null): string | null => (at === null ? null : writeInstant(at));
