import { system } from "../domain/audit/index.ts";
import { accrueUsage } from "../flows/accrue-usage.ts";
import { atEveryTime, atTimeOf, type InTime } from "../flows/at-every-time.ts";
import { billLateUsage } from "../flows/bill-late-usage.ts";
import { billFinalizedPeriods } from "../flows/bill-finalized-periods.ts";
import { settlePendingPurchases } from "../flows/buy-batch.ts";
import { continueBackfills } from "../flows/continue-backfills.ts";
import { earnRevenue } from "../flows/earn-revenue.ts";
import type { Env } from "../flows/env.ts";
import { expireGrants } from "../flows/expire-grants.ts";
import { forgetAnswers } from "../flows/forget-answers.ts";
import { postSupplyCost } from "../flows/keep-supply.ts";
import { postBooks } from "../flows/post-books.ts";
import { settlePendingRefunds } from "../flows/refund-credit.ts";
import { topUpAutomatically } from "../flows/top-up-automatically.ts";

/** What a job does. Run twice, or cut off anywhere and run again, it leaves the same behind as run once. */
export type Handler = (env: Env, given: Given) => Promise<unknown>;
export type Given = {
  readonly payload: Readonly<Record<string, string>>;
  /** Aborted when the process is to end: leave the rest to the next run. */
  readonly stopping: AbortSignal;
};

type Timely = (env: Env, of: InTime, stopping: AbortSignal) => Promise<unknown>;

/** What depends on the time of the organization it is about, in the order in which a clock that jumps should do it. */
const timely = {
  "settle-pending-purchases": (env, of) => settlePendingPurchases(env, system("jobs"), of),
  "settle-pending-refunds": (env, of) => settlePendingRefunds(env, of),
  "expire-grants": (env, of) => expireGrants(env, of),
  "top-up-automatically": (env, of) => topUpAutomatically(env, of),
  "bill-finalized-periods": (env, of, stopping) => billFinalizedPeriods(env, of, stopping),
  "bill-late-usage": (env, of, stopping) => billLateUsage(env, of, stopping),
  "accrue-usage": (env, of, stopping) => accrueUsage(env, of, stopping),
  "earn-revenue": (env, of) => earnRevenue(env, of),
} satisfies Record<string, Timely>;

const atAllTimes =
  (work: Timely): Handler =>
  (env, { stopping }) =>
    atEveryTime(env, (own, of) => work(own, of, stopping));

// Shorter than a period, so that other jobs of the same worker have their turn.
const backfillTimeoutMs = 45_000;

/** A name, and the flow of that name. */
export const handlers = {
  "expire-grants": atAllTimes(timely["expire-grants"]),
  "settle-pending-purchases": atAllTimes(timely["settle-pending-purchases"]),
  "settle-pending-refunds": atAllTimes(timely["settle-pending-refunds"]),
  "top-up-automatically": atAllTimes(timely["top-up-automatically"]),
  "bill-finalized-periods": atAllTimes(timely["bill-finalized-periods"]),
  "bill-late-usage": atAllTimes(timely["bill-late-usage"]),
  "accrue-usage": atAllTimes(timely["accrue-usage"]),
  "earn-revenue": atAllTimes(timely["earn-revenue"]),
  "post-books": (env) => postBooks(env),
  "post-supply-cost": (env) => postSupplyCost(env),
  "continue-backfills": (env, { stopping }) => continueBackfills(env, backfillTimeoutMs, stopping),
  "forget-answers": (env) => forgetAnswers(env),
  /** Asked for when the clock of a sandbox is moved: everything that has become due at its time. */
  "keep-sandbox-time": (env, { payload, stopping }) =>
    atTimeOf(env, payload["orgId"] ?? "", async (own, of) => {
      for (const work of Object.values<Timely>(timely)) await work(own, of, stopping);
      await postBooks(own);
    }),
} satisfies Record<string, Handler>;

export type JobName = keyof typeof handlers;
