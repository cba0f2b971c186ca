import { CompiledQuery } from "kysely";
import type { Quota, QuotaWindow } from "../domain/entitlements/index.ts";
import { readUnits, type Units } from "../domain/grants/index.ts";
import {
  readSubscription,
  type Subscription,
  type SubscriptionDocument,
} from "../domain/subscriptions/index.ts";
import type { Instant } from "../kit/time.ts";
import { readInstant, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

export type LimitKey = {
  readonly orgId: string;
  readonly accountId: string;
  /** A meter whose units are sold in batches, the key of a quota, or the name of a feature: often the same word. */
  readonly feature: string;
};

/** Everything stored that decides whether an account may use something now. */
export type LimitRow = LimitKey & {
  readonly status: string;
  readonly currency: string;
  readonly timeZone: string;
  readonly priceBook: string | null;
  readonly featureAllowed: boolean | null;
  readonly creditOnly: boolean;
  readonly capMinor: bigint | null;
  readonly heldMinor: bigint;
  readonly creditMinor: bigint;
  /** A ceiling that staff has set for this account. */
  readonly quota: Quota | null;
  readonly raisedTo: Units | null;
  readonly lastWindow: {
    readonly startsAt: Instant | null;
    readonly used: Units;
    readonly exceededAt: Instant | null;
  } | null;
  /** What reservations hold in their newest window; of levels, which have none, all of it. */
  readonly held: Units;
  readonly heldWindow: Instant | null;
  readonly hasGrants: boolean;
  readonly available: Units;
  readonly heldUnits: Units;
  /** Open ones, whatever they give at this moment. */
  readonly subscriptions: readonly Subscription[];
  /** The version of the catalog when this was read: what plans give and prices say belongs to it or to a later one. */
  readonly catalogVersion: bigint;
};

const columns = [
  "no",
  "status",
  "currency",
  "time_zone",
  "price_book",
  "feature_allowed",
  "credit_only",
  "cap_minor",
  "held_minor",
  "credit",
  "ceiling",
  "quota_window",
  "enforcement",
  "burst",
  "soft_up_to",
  "grace_hours",
  "raised_to",
  "use_starts_at",
  "used",
  "exceeded_at",
  "held",
  "held_window",
  "held_units",
  "has_grants",
  "available",
  "subscriptions",
  "catalog_version",
] as const;
type Cells = Record<(typeof columns)[number], string | null>;

/** The limits for many questions in one statement: now, organizations, accounts, features. Everything comes as text. */
export const limitsQuery = `
  select n.no::text, a.status, a.currency, a.time_zone, a.price_book,
         f.allowed::text as feature_allowed, l.credit_only::text, l.cap_minor::text,
         case when l.org_id is null then null else
           (select sum(r.held_minor)::text from reservation r where r.org_id = n.org_id and r.account_id = a.account_id
             and r.status = 'held' and r.expires_at > $1::timestamptz) end as held_minor,
         case when l.credit_only then
           (select sum(g.remaining)::text from account_grant g where g.org_id = n.org_id and g.account_id = a.account_id
             and g.denomination = 'money' and g.pool = a.currency and g.has_units and g.valid_from <= $1::timestamptz
             and g.expires_at > $1::timestamptz) end as credit,
         q.ceiling::text, q.quota_window, q.enforcement, q.burst::text, q.soft_up_to::text, q.grace_hours::text,
         (select r.ceiling::text from quota_request r where r.org_id = n.org_id
            and r.account_id = a.account_id and r.quota_key = n.feature and r.status = 'approved'
            and r.starts_at <= $1::timestamptz and r.ends_at > $1::timestamptz
          order by r.starts_at desc limit 1) as raised_to,
         u.starts_at::text as use_starts_at, u.used::text, u.exceeded_at::text,
         h.held::text, h.quota_window::text as held_window, h.held_units::text, g.has_grants::text, g.available::text,
         (select jsonb_agg(jsonb_build_object('id', s.subscription_id, 'timeline', s.timeline) order by s.subscription_id)::text
          from subscription s where s.org_id = n.org_id and s.account_id = a.account_id and s.closed_at is null
         ) as subscriptions,
         (select version::text from catalog_version) as catalog_version
  from unnest($2::text[], $3::text[], $4::text[]) with ordinality as n (org_id, account_id, feature, no)
  join billing_account a on a.org_id = n.org_id and a.account_id = n.account_id
  left join feature_grant f on f.org_id = n.org_id and f.account_id = n.account_id and f.feature = n.feature
  left join spending_limit l on l.org_id = n.org_id and l.account_id = n.account_id
  left join quota q on q.org_id = n.org_id and q.account_id = n.account_id and q.quota_key = n.feature
  left join lateral (
    select u.starts_at, u.used, u.exceeded_at from quota_use u
    where u.org_id = n.org_id and u.account_id = n.account_id and u.quota_key = n.feature
    order by u.starts_at desc limit 1) u on true
  left join lateral (
    select r.quota_window, sum(r.quantity) as held, sum(sum(r.held_units)) over () as held_units
    from reservation r where r.org_id = n.org_id and r.account_id = n.account_id and r.feature = n.feature
      and r.status = 'held' and r.expires_at > $1::timestamptz
    group by r.quota_window order by r.quota_window desc limit 1) h on true
  cross join lateral (
    select count(*) > 0 as has_grants, sum(s.remaining) as available from (
      select case when g.valid_from <= $1::timestamptz and g.expires_at > $1::timestamptz then g.remaining else 0 end as remaining
      from account_grant g
      where g.org_id = n.org_id and g.account_id = n.account_id and g.pool = n.feature and g.has_units) s) g`;

/** The limits for many questions, in the order asked; undefined where there is no such account. */
export async function listLimits(
  db: Db,
  keys: readonly LimitKey[],
  now: Instant,
): Promise<(LimitRow | undefined)[]> {
  const values = [
    writeInstant(now),
    keys.map((key) => key.orgId),
    keys.map((key) => key.accountId),
    keys.map((key) => key.feature),
  ];
  const { rows } = await db.executeQuery<Cells>(CompiledQuery.raw(limitsQuery, values));
  return inOrder(keys, rows);
}

/** The same from cells in the order of the columns, as a pipeline answers. */
export const readLimitCells = (
  keys: readonly LimitKey[],
  rows: readonly (readonly (string | null)[])[],
): (LimitRow | undefined)[] =>
  inOrder(
    keys,
    rows.map((row) => {
      const cells = {} as Cells;
      for (const [index, name] of columns.entries()) cells[name] = row[index] ?? null;
      return cells;
    }),
  );

function inOrder(keys: readonly LimitKey[], rows: readonly Cells[]): (LimitRow | undefined)[] {
  const found: (LimitRow | undefined)[] = keys.map(() => undefined);
  for (const row of rows) {
    const index = Number(row.no) - 1;
    found[index] = limitOf(row, keys[index] as LimitKey);
  }
  return found;
}

const units = (text: string | null): Units => (text === null ? 0 : readUnits(text));
const windowStart = (text: string): Instant | null =>
  text === "-infinity" ? null : readInstant(text);

const limitOf = (row: Cells, { orgId, accountId, feature }: LimitKey): LimitRow => ({
  orgId,
  accountId,
  feature,
  status: row.status as string,
  currency: row.currency as string,
  timeZone: row.time_zone as string,
  priceBook: row.price_book,
  featureAllowed: row.feature_allowed === null ? null : row.feature_allowed === "true",
  creditOnly: row.credit_only === "true",
  capMinor: row.cap_minor === null ? null : BigInt(row.cap_minor),
  heldMinor: BigInt(row.held_minor ?? "0"),
  creditMinor: BigInt((row.credit ?? "0").split(".")[0] ?? "0"),
  quota: row.ceiling === null ? null : quotaOf(row, feature),
  raisedTo: row.raised_to === null ? null : readUnits(row.raised_to),
  lastWindow:
    row.used === null || row.use_starts_at === null
      ? null
      : {
          startsAt: windowStart(row.use_starts_at),
          used: readUnits(row.used),
          exceededAt: row.exceeded_at === null ? null : readInstant(row.exceeded_at),
        },
  held: units(row.held),
  heldWindow: row.held_window === null ? null : readInstant(row.held_window),
  hasGrants: row.has_grants === "true",
  available: units(row.available),
  heldUnits: units(row.held_units),
  subscriptions: subscriptionsIn(row.subscriptions),
  catalogVersion: BigInt(row.catalog_version ?? "0"),
});

const quotaOf = (row: Cells, key: string): Quota => ({
  key,
  limit: units(row.ceiling),
  window: (row.quota_window ?? "none") as QuotaWindow,
  enforcement: (row.enforcement ?? "hard") as Quota["enforcement"],
  burst: units(row.burst),
  softUpTo: row.soft_up_to === null ? null : readUnits(row.soft_up_to),
  graceHours: Number(row.grace_hours ?? 0),
});

// The same text is the same subscriptions: there is nothing to go stale.
const known = new Map<string, readonly Subscription[]>();
const knownMax = 20_000;
const none: readonly Subscription[] = [];

function subscriptionsIn(text: string | null): readonly Subscription[] {
  if (text === null) return none;
  const found = known.get(text);
  if (found) return found;
  const rows = JSON.parse(text) as { id: string; timeline: SubscriptionDocument }[];
  const read = rows.map(({ id, timeline }) => readSubscription(id, timeline));
  if (known.size >= knownMax) known.clear();
  known.set(text, read);
  return read;
}
