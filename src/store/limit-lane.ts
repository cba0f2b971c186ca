import type { Instant } from "../kit/time.ts";
import { type HeadKey, headName, inLockOrder } from "./account-heads.ts";
import { writeInstant } from "./columns.ts";
import type { Store } from "./connect.ts";
import { type LimitKey, type LimitRow, limitsQuery, readLimitCells } from "./limit-rows.ts";
import {
  addQuotaUsesQuery,
  insertReservationsQuery,
  reservationColumns,
  type StoredReservation,
  type UseToCount,
  useColumns,
} from "./limits.ts";
import { type PipelineStatement, runPipeline } from "./pipeline.ts";
import { type Lane, openLane } from "./usage-lane.ts";

/**
 * A connection for questions about limits alone. The query behind them joins a dozen small tables: planning it takes ten
 * times what running it does, so it is planned once, and nothing that it meets later makes PostgreSQL plan it again.
 */
export async function openLimitLane(store: Store): Promise<Lane> {
  const lane = await openLane(store.pool, store.unnamedStatements);
  if (!lane.unnamed) await lane.client.query("set plan_cache_mode = force_generic_plan");
  return lane;
}

/** Whether asking again may help: the connection broke, or another transaction was in the way. */
export function isWorthAnother(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === undefined || code.length !== 5 || /^(?:08|57|40)/.test(code);
}

const run = (lane: Lane, statements: readonly PipelineStatement[]) =>
  runPipeline(lane.client, statements, lane.unnamed);

/** The limits for many questions, in the order asked, in one round trip. */
export async function readLimitRows(
  lane: Lane,
  keys: readonly LimitKey[],
  now: Instant,
): Promise<(LimitRow | undefined)[]> {
  const [rows = []] = await run(lane, [limits(keys, now)]);
  return readLimitCells(keys, rows);
}

/**
 * Begin a transaction, hold the heads of the accounts in order, and read their limits as they are under the locks, in one
 * round trip. Only what is no account has no head, and is not among `locked`.
 */
export async function lockLimitRows(
  lane: Lane,
  keys: readonly LimitKey[],
  now: Instant,
): Promise<{ locked: ReadonlySet<string>; rows: (LimitRow | undefined)[] }> {
  const accounts = inLockOrder(keys);
  const known = headsKnown.get(lane) ?? new Set();
  headsKnown.set(lane, known);
  const unknown = accounts.filter((account) => !known.has(headName(account)));
  const statements = [begin, ...(unknown.length > 0 ? [ensureHeads(unknown)] : [])];
  const results = await run(lane, [...statements, holdHeads(accounts), limits(keys, now)]);
  const held = results[statements.length] ?? [];
  const locked = new Set(
    held.map(([orgId, accountId]) => headName({ orgId: orgId ?? "", accountId: accountId ?? "" })),
  );
  if (known.size > headsKnownMax) known.clear();
  for (const name of locked) known.add(name);
  return { locked, rows: readLimitCells(keys, results[statements.length + 1] ?? []) };
}

/** Heads that were seen through a lane. They are never removed. */
const headsKnown = new WeakMap<Lane, Set<string>>();
const headsKnownMax = 100_000;

const begin: PipelineStatement = { name: "tl_begin", text: "begin" };

const accountArrays = (accounts: readonly HeadKey[]): string[] => [
  arrayText(accounts.map((account) => account.orgId)),
  arrayText(accounts.map((account) => account.accountId)),
];

const ensureHeads = (accounts: readonly HeadKey[]): PipelineStatement => ({
  name: "tl_begin_heads",
  text: `insert into usage_head (org_id, account_id, chain)
         select a.org_id, a.account_id, decode(repeat('00', 16), 'hex')
         from unnest($1::text[], $2::text[]) as n (org_id, account_id)
         join billing_account a on a.org_id = n.org_id and a.account_id = n.account_id
         where not exists (select 1 from usage_head h where h.org_id = n.org_id and h.account_id = n.account_id)
         order by a.org_id collate "C", a.account_id collate "C" on conflict do nothing`,
  values: accountArrays(accounts),
});

// A statement of its own: what follows sees everything that was committed before the locks were granted.
const holdHeads = (accounts: readonly HeadKey[]): PipelineStatement => ({
  name: "tl_hold_heads",
  text: `select h.org_id, h.account_id
         from usage_head h join unnest($1::text[], $2::text[]) as n (org_id, account_id)
           on h.org_id = n.org_id and h.account_id = n.account_id
         order by h.org_id collate "C", h.account_id collate "C" for update of h`,
  values: accountArrays(accounts),
});

/** Save holds and uses within the transaction that `lockLimitRows` began, and commit it. Each key and window once. */
export async function saveClaims(
  lane: Lane,
  holds: readonly StoredReservation[],
  uses: readonly UseToCount[],
): Promise<void> {
  await run(lane, [
    ...(holds.length > 0 ? [insertHolds(holds)] : []),
    ...(uses.length > 0 ? [addUses(uses)] : []),
    { name: "tl_commit", text: "commit" },
  ]);
}

const limits = (keys: readonly LimitKey[], now: Instant): PipelineStatement => ({
  name: "tl_limits",
  text: limitsQuery,
  values: [
    writeInstant(now),
    arrayText(keys.map((key) => key.orgId)),
    arrayText(keys.map((key) => key.accountId)),
    arrayText(keys.map((key) => key.feature)),
  ],
});

const insertHolds = (made: readonly StoredReservation[]): PipelineStatement => ({
  name: "tl_insert_holds",
  text: insertReservationsQuery,
  values: reservationColumns(made).map(arrayText),
});

const addUses = (uses: readonly UseToCount[]): PipelineStatement => ({
  name: "tl_add_uses",
  text: addQuotaUsesQuery,
  values: useColumns(uses).map(arrayText),
});

/** An array literal, every value in quotes. */
const arrayText = (values: readonly (string | null)[]): string =>
  `{${values.map((value) => (value === null ? "NULL" : `"${value.replaceAll(/["\\]/g, "\\$&")}"`)).join(",")}}`;
