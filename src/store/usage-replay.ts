import { sql } from "kysely";
import type { Instant } from "../kit/time.ts";
import { readInstant } from "./columns.ts";
import type { Store } from "./connect.ts";

/** A stored event as a replay needs it. */
export type ReplayEvent = {
  readonly seq: number;
  readonly type: string;
  readonly time: Instant;
  readonly receivedAt: Instant;
  readonly isCorrection: boolean;
  readonly data: Readonly<Record<string, unknown>>;
};

const pageRows = 5_000;

/** An account's events in their order, page by page. */
export async function* listReplayEvents(
  store: Store,
  key: { readonly orgId: string; readonly accountId: string },
): AsyncGenerator<ReplayEvent> {
  for (let after = 0n; ; ) {
    const { rows } = await sql<{
      seq: bigint;
      type: string;
      time: string;
      received_at: string;
      data: string;
      corrects: string | null;
    }>`
      select seq, type, time, received_at, data::text as data, corrects::text as corrects from usage_event
      where org_id = ${key.orgId} and account_id = ${key.accountId} and seq > ${after}
      order by seq limit ${pageRows}`.execute(store.db);
    for (const row of rows)
      yield {
        seq: Number(row.seq),
        type: row.type,
        time: readInstant(row.time),
        receivedAt: readInstant(row.received_at),
        isCorrection: row.corrects !== null,
        data: JSON.parse(row.data) as Record<string, unknown>,
      };
    const last = rows.at(-1);
    if (!last || rows.length < pageRows) return;
    after = last.seq;
  }
}
