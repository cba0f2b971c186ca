import { earn } from "../domain/revenue/index.ts";
import { appendBooks } from "../store/journal.ts";
import { claimDueSchedules, saveSchedules } from "../store/revenue-schedules.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

const schedulesPerBatch = 500;

/**
 * Recognise what has been earned of fees that were billed in advance, month by month, each month dated at its end. Run late,
 * it catches up; run twice, or cut off, each month is booked once.
 */
export async function earnRevenue(
  env: Env,
  of: { readonly orgId?: string } = {},
): Promise<{ scheduleCount: number }> {
  let scheduleCount = 0;
  for (;;) {
    const count = await transaction(env.store.db, async (tx) => {
      const now = env.now();
      const due = await claimDueSchedules(tx, now, { ...of, limit: schedulesPerBatch });
      if (due.length === 0) return 0;
      const earned = due.map((schedule) => ({ schedule, ...earn(schedule, now) }));
      await appendBooks(
        tx,
        earned.flatMap(({ schedule, transactions }) =>
          transactions.map((made) => ({ orgId: schedule.orgId, transaction: made })),
        ),
        now,
      );
      await saveSchedules(
        tx,
        earned.map(({ schedule, after }) => ({ ...after, orgId: schedule.orgId })),
      );
      return due.length;
    });
    if (count === 0) return { scheduleCount };
    scheduleCount += count;
  }
}
