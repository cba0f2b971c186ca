import { z } from "@hono/zod-openapi";
import { balanceText } from "../../domain/ledger/index.ts";
import { readStock, recordSupplyLot } from "../../flows/keep-supply.ts";
import { currency } from "../../kit/currency.ts";
import { formatDecimal } from "../../kit/decimal.ts";
import { formatInstant } from "../../kit/time.ts";
import { parseMoney } from "../../kit/money.ts";
import { listLedgerBalances } from "../../store/journal.ts";
import {
  CurrencyCode,
  DecimalIn,
  DecimalText,
  InstantIn,
  InstantText,
  MoneyView,
  moneyView,
  Reason,
} from "../contract/common.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Books";

const LedgerBalanceView = z
  .strictObject({
    account: z.string().openapi({ example: "liabilities:deferred:USAGE-SMS-1000" }),
    kind: z.enum(["money", "units"]),
    commodity: z.string(),
    amount: z.string().openapi({ description: "Debits are above zero, credits below." }),
  })
  .openapi("LedgerBalance");

const balances = endpoint({
  method: "GET",
  path: "/v1/ledger/balances",
  id: "listLedgerBalances",
  group,
  summary: "See the balances of the books at an instant",
  permission: "ledger.read",
  query: z.object({
    organization_id: z.string().max(80).optional(),
    as_of: InstantIn.optional(),
  }),
  response: z.strictObject({ object: z.literal("list"), data: z.array(LedgerBalanceView) }),
  run: async (env, { query }) => {
    const found = await listLedgerBalances(env.store.db, {
      orgId: query.organization_id,
      asOf: query.as_of,
    });
    return {
      object: "list" as const,
      data: found.map((one) => ({
        account: one.account,
        kind: one.kind,
        commodity: one.commodity,
        amount: balanceText(one),
      })),
    };
  },
});

const LotView = z
  .strictObject({
    id: z.string(),
    object: z.literal("supply_lot"),
    pool: z.string(),
    size: DecimalText,
    cost: MoneyView,
    bought_at: InstantText,
  })
  .openapi("SupplyLot");

const lot = endpoint({
  method: "POST",
  path: "/v1/supply-lots",
  id: "recordSupplyLot",
  group,
  summary: "Record units that the provider bought itself",
  permission: "ledger.write",
  body: z
    .strictObject({
      pool: z.string().min(1).max(100),
      supplier: z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "use letters, digits, dots and dashes")
        .max(60),
      size: DecimalIn,
      currency: CurrencyCode,
      cost: DecimalText,
      bought_at: InstantIn.optional(),
      reason: Reason.optional(),
    })
    .openapi("NewSupplyLot"),
  response: LotView,
  success: 201,
  run: async (env, { body, author, now }) => {
    const made = await recordSupplyLot(env, author, {
      family: body.pool,
      supplier: body.supplier,
      size: body.size,
      cost: parseMoney(body.cost, currency(body.currency)),
      boughtAt: body.bought_at ?? now,
    });
    return {
      id: made.id,
      object: "supply_lot" as const,
      pool: made.family,
      size: formatDecimal(made.size),
      cost: moneyView(made.cost),
      bought_at: formatInstant(made.boughtAt),
    };
  },
});

const stock = endpoint({
  method: "GET",
  path: "/v1/supply-lots/{pool}",
  id: "getStock",
  group,
  summary: "See what is left of the lots of a pool, and what its use has cost",
  permission: "ledger.read",
  params: z.object({ pool: z.string().min(1).max(100) }),
  response: z
    .strictObject({
      object: z.literal("stock"),
      pool: z.string(),
      consumed: DecimalText,
      uncovered: DecimalText,
      cost: MoneyView.nullable(),
      lots: z.array(LotView.extend({ remaining: DecimalText })),
    })
    .openapi("Stock"),
  run: async (env, { params }) => {
    const found = await readStock(env, params.pool);
    return {
      object: "stock" as const,
      pool: found.pool,
      consumed: formatDecimal(found.consumed),
      uncovered: formatDecimal(found.consumption.uncovered),
      cost: found.cost ? moneyView(found.cost) : null,
      lots: found.consumption.lots.map((one) => ({
        id: one.id,
        object: "supply_lot" as const,
        pool: one.family,
        size: formatDecimal(one.size),
        remaining: formatDecimal(one.remaining),
        cost: moneyView(one.cost),
        bought_at: formatInstant(one.boughtAt),
      })),
    };
  },
});

export const ledgerRoutes: readonly Endpoint[] = [balances, lot, stock];
