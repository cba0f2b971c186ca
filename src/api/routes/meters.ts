import { backfillMeter } from "../../flows/backfill-meter.ts";
import { defineMeter, redefineMeter } from "../../flows/define-meter.ts";
import { getMeter, readMeterHealth } from "../../flows/read-usage.ts";
import { listMeters } from "../../store/meters.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import {
  BackfillBody,
  BackfillView,
  backfillView,
  MeterEditBody,
  MeterHealthView,
  MeterParam,
  MeterView,
  meterHealthView,
  meterView,
  NewMeterBody,
} from "../contract/meters.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Meters";
const one = "/v1/meters/{meter}";

const list = endpoint({
  method: "GET",
  path: "/v1/meters",
  id: "listMeters",
  group,
  summary: "List meters",
  permission: "catalog.read",
  query: PageQuery,
  response: pageOf(MeterView),
  run: async (env, { query }) => {
    const afterKey = positionOf(query.cursor, 1)?.[0]?.toString();
    const found = await listMeters(env.store.db, { afterKey, limit: query.limit + 1 });
    return page(found, query.limit, meterView, ({ meter }) => [meter.key]);
  },
});

const create = endpoint({
  method: "POST",
  path: "/v1/meters",
  id: "defineMeter",
  group,
  summary: "Define a meter",
  description:
    "It counts from this moment on. Events that are already there count too: figures are right at once, and fast after a back-fill.",
  permission: "catalog.write",
  body: NewMeterBody,
  response: MeterView,
  success: 201,
  problems: ["meter_not_valid", "meter_key_taken"],
  run: async (env, { author, body }) => meterView(await defineMeter(env, author, body)),
});

const get = endpoint({
  method: "GET",
  path: one,
  id: "getMeter",
  group,
  summary: "See one meter",
  permission: "catalog.read",
  params: MeterParam,
  response: MeterView,
  problems: ["meter_not_found"],
  run: async (env, { params }) => meterView(await getMeter(env, params.meter)),
});

const edit = endpoint({
  method: "PATCH",
  path: one,
  id: "changeMeter",
  group,
  summary: "Change what may change of a meter",
  description:
    "Its name, more dimensions, and its status, forward. What a published meter measures is fixed: define another one beside it.",
  permission: "catalog.write",
  params: MeterParam,
  body: MeterEditBody,
  response: MeterView,
  problems: [
    "meter_not_found",
    "meter_not_valid",
    "meter_field_fixed",
    "meter_dimension_removed",
    "meter_status_backward",
  ],
  run: async (env, { author, params, body }) =>
    meterView(await redefineMeter(env, author, params.meter, body)),
});

// Short enough for any proxy; what is left is done by the next call, or by the worker.
const backfillTimeoutMs = 20_000;

const backfill = endpoint({
  method: "POST",
  path: `${one}/backfill`,
  id: "backfillMeter",
  group,
  summary: "Count events that were there before the meter",
  description: "Works for up to 20 seconds; call again while the status is `running`.",
  permission: "catalog.write",
  params: MeterParam,
  body: BackfillBody,
  response: BackfillView,
  problems: ["meter_not_found"],
  atomic: false,
  run: async (env, { params, body }) =>
    backfillView(
      await backfillMeter(env, params.meter, {
        restart: body.restart,
        timeoutMs: backfillTimeoutMs,
      }),
    ),
});

const health = endpoint({
  method: "GET",
  path: `${one}/health`,
  id: "getMeterHealth",
  group,
  summary: "See whether a meter still hears from its senders",
  description: "Over all organizations with a key of the provider, over one's own otherwise.",
  permission: "catalog.read",
  params: MeterParam,
  response: MeterHealthView,
  problems: ["meter_not_found"],
  run: async (env, { params, caller }) => {
    const { meter } = await getMeter(env, params.meter);
    const orgId = caller.organizationId ?? undefined;
    return meterHealthView(meter.key, await readMeterHealth(env, meter.key, orgId));
  },
});

export const meterRoutes: readonly Endpoint[] = [list, create, get, edit, backfill, health];
