import { type RawBuilder, sql } from "kysely";
import type { Dimension, Meter, MeterFilter } from "../domain/catalog/index.ts";
import type { Period } from "../kit/time.ts";
import { writeInstant } from "./columns.ts";

type Fragment = RawBuilder<unknown>;

/** Whose events, and when they happened. `accountIds` undefined: every account of the organization. */
export type EventScope = {
  readonly orgId: string;
  readonly accountIds?: readonly string[];
  readonly projectId?: string;
  /** Undefined: of all times. */
  readonly periods?: readonly Period[];
  /** Only events up to this one of their account. Of events, not of rollups. */
  readonly untilSeq?: bigint;
};

export const all = (fragments: readonly Fragment[]): Fragment => sql.join(fragments, sql` and `);
export const list = (fragments: readonly Fragment[]): Fragment => sql.join(fragments, sql`, `);

/**
 * The events of a scope that a meter measures, in SQL: what `matchEvent` in domain/usage says in TypeScript, with the same
 * answer for every event that `matchEvent` finds no fault in. Columns: account_id, project_id, event_key, seq, time,
 * corrects, value (numeric), thing (text, for `unique`) and d0, d1, … for the dimensions asked for.
 */
export function measuredEvents(
  meter: Meter,
  scope: EventScope,
  options: {
    readonly dimensions?: readonly string[];
    readonly only?: "readings" | "corrections";
    readonly and?: Fragment;
    /** More columns: ", … as name". */
    readonly also?: Fragment;
  } = {},
): Fragment {
  const declared = new Map(meter.dimensions.map((dimension) => [dimension.key, dimension]));
  const dimensions = (options.dimensions ?? []).map((key, index) => {
    const dimension = declared.get(key);
    const text = dimension ? dimensionText(dimension) : sql`null::text`;
    return sql`, ${text} as ${sql.ref(`d${index}`)}`;
  });
  const conditions = [
    ...scopeConditions(scope, sql`e.time`),
    // Events are in order by account: without one, its accounts are what leads to an organization's events.
    ...(scope.accountIds === undefined
      ? [
          sql`e.account_id in (select account_id from billing_account where org_id = ${scope.orgId})`,
        ]
      : []),
    sql`e.type = ${meter.eventType}`,
    ...(options.only === "readings" ? [sql`e.corrects is null`] : []),
    ...(options.only === "corrections" ? [sql`e.corrects is not null`] : []),
    ...meter.filters.map(filterCondition),
    ...(options.and ? [options.and] : []),
  ];
  return sql`
    select m.* from (
      select e.account_id, e.project_id, e.event_key, e.seq, e.time, e.corrects,
             ${valueOf(meter)} as value, ${thingOf(meter)} as thing ${sql.join(dimensions, sql` `)} ${options.also ?? sql``}
      from usage_event e
      where ${all(conditions)}
    ) m
    where ${valueCondition(meter)}`;
}

/** Conditions on any table with org_id, account_id, project_id and a column of time. */
export function scopeConditions(scope: EventScope, time: Fragment, table = "e"): Fragment[] {
  const column = (name: string) => sql.ref(`${table}.${name}`);
  const conditions: Fragment[] = [sql`${column("org_id")} = ${scope.orgId}`];
  if (scope.accountIds !== undefined)
    conditions.push(sql`${column("account_id")} = any(${scope.accountIds}::text[])`);
  if (scope.projectId !== undefined)
    conditions.push(sql`${column("project_id")} = ${scope.projectId}`);
  if (scope.untilSeq !== undefined)
    conditions.push(sql`${column("seq")} <= ${scope.untilSeq.toString()}::bigint`);
  if (scope.periods !== undefined) {
    const spans = scope.periods.map(
      ({ startsAt, endsAt }) =>
        sql`(${time} >= ${writeInstant(startsAt)}::timestamptz and ${time} < ${writeInstant(endsAt)}::timestamptz)`,
    );
    conditions.push(spans.length === 0 ? sql`false` : sql`(${sql.join(spans, sql` or `)})`);
  }
  return conditions;
}

/** The declared dimensions of an event as the canonical text that rollups are kept under. */
export function dimensionsText(meter: Meter): Fragment {
  if (meter.dimensions.length === 0) return sql`'{}'`;
  // Sorted and written like canonicalJson writes: to_json escapes a text the way JSON.stringify does.
  const members = meter.dimensions
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    .map((one) => sql`${`${JSON.stringify(one.key)}:`} || to_json(${dimensionText(one)})::text`);
  return sql`'{' || concat_ws(',', ${list(members)}) || '}'`;
}

/**
 * What a dimension is on an event. An event that is older than the declaration may carry something else under that name:
 * it stays valid, without the dimension.
 */
function dimensionText({ key, values }: Dimension): Fragment {
  const text = sql`coalesce(e.data->'dimensions'->>${key}, e.data->>${key})`;
  if (values) return sql`case when ${text} = any(${values}::text[]) then ${text} end`;
  const value = sql`case when e.data->'dimensions'->>${key} is null then e.data->${key} else e.data->'dimensions'->${key} end`;
  return sql`case when ${isScalar(value)} then ${text} end`;
}

const isScalar = (value: Fragment): Fragment =>
  sql`coalesce(json_typeof(${value}), 'null') not in ('object', 'array')`;

function filterCondition({ property, op, values }: MeterFilter): Fragment {
  const text = sql`e.data->>${property}`;
  switch (op) {
    case "eq":
    case "in":
      return sql`(${text}) = any(${values}::text[])`;
    case "ne":
    case "not_in":
      return sql`(${text} is null or (${text}) <> all(${values}::text[]))`;
    case "exists":
      return sql`${text} is not null`;
  }
}

// The forms that kit/decimal.ts reads. A case, because only a case promises not to cast what does not match.
const decimalForm = "^-?[0-9]{1,20}(\\.[0-9]{1,20})?$";
const wholeForm = "^-?[0-9]{1,20}$";

function valueOf(meter: Meter): Fragment {
  switch (meter.aggregation) {
    case "count":
    case "unique":
      return sql`case when e.corrects is null then 1::numeric else -1::numeric end`;
    case "sum":
    case "max":
    case "min":
    case "latest":
    case "average":
    case "percentile":
    case "weighted_sum": {
      const text = sql`e.data->>${meter.valueProperty}`;
      const form = meter.valueKind === "integer" ? wholeForm : decimalForm;
      return sql`case when ${text} ~ ${form} then (${text})::numeric end`;
    }
  }
}

function thingOf(meter: Meter): Fragment {
  if (meter.aggregation !== "unique") return sql`''::text`;
  const value = sql`e.data->${meter.valueProperty}`;
  return sql`case when ${isScalar(value)} then e.data->>${meter.valueProperty} end`;
}

function valueCondition(meter: Meter): Fragment {
  switch (meter.aggregation) {
    case "count":
      return sql`true`;
    case "unique":
      return sql`(m.corrects is not null or m.thing <> '')`;
    case "sum":
    case "max":
    case "min":
    case "latest":
    case "average":
    case "percentile":
    case "weighted_sum":
      return meter.allowNegative
        ? sql`m.value is not null`
        : sql`(m.value >= 0 or (m.value is not null and m.corrects is not null))`;
  }
}
