import { z } from "@hono/zod-openapi";
import { balanceText } from "../../domain/ledger/index.ts";
import { feeRules, type RecognitionPolicy, usageRules } from "../../domain/revenue/index.ts";
import { closeBooks } from "../../flows/close-books.ts";
import { readStock, recordSupplyLot } from "../../flows/keep-supply.ts";
import { setRecognitionPolicy } from "../../flows/set-recognition-policy.ts";
import { currency } from "../../kit/currency.ts";
import { formatDecimal } from "../../kit/decimal.ts";
import { formatInstant } from "../../kit/time.ts";
import { parseMoney } from "../../kit/money.ts";
import { listLedgerBalances } from "../../store/journal.ts";
import { type LedgerLock, listLedgerLocks } from "../../store/ledger-locks.ts";
import { listMargins, listRollForward } from "../../store/ledger-reports.ts";
import { listRecognitionPolicies } from "../../store/recognition-policies.ts";
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

const PolicyView = z
  .strictObject({
    object: z.literal("recognition_policy"),
    version: z.int(),
    effective_from: InstantText.nullable().openapi({ description: "Null: since ever." }),
    fees: z.enum(feeRules),
    usage: z.enum(usageRules),
  })
  .openapi("RecognitionPolicy");

const policyView = (policy: RecognitionPolicy): z.input<typeof PolicyView> => ({
  object: "recognition_policy" as const,
  version: policy.version,
  effective_from: Number.isFinite(policy.effectiveFrom)
    ? formatInstant(policy.effectiveFrom)
    : null,
  fees: policy.fees,
  usage: policy.usage,
});

const policies = endpoint({
  method: "GET",
  path: "/v1/recognition-policies",
  id: "listRecognitionPolicies",
  group,
  summary: "List the versions of the rule by which revenue is recognised",
  permission: "ledger.read",
  response: z.strictObject({ object: z.literal("list"), data: z.array(PolicyView) }),
  run: async (env) => ({
    object: "list" as const,
    data: (await listRecognitionPolicies(env.store.db)).map(policyView),
  }),
});

const setPolicy = endpoint({
  method: "POST",
  path: "/v1/recognition-policies",
  id: "setRecognitionPolicy",
  group,
  summary: "Begin a new version of the recognition rule",
  description: "Periods that have begun stay under the version they began with.",
  permission: "ledger.write",
  body: z
    .strictObject({
      effective_from: InstantIn,
      fees: z.enum(feeRules),
      usage: z.enum(usageRules),
      reason: Reason,
    })
    .openapi("NewRecognitionPolicy"),
  response: PolicyView,
  success: 201,
  problems: ["recognition_policy_not_ahead"],
  run: async (env, { body, author }) =>
    policyView(
      await setRecognitionPolicy(
        env,
        { ...author, reason: body.reason },
        { effectiveFrom: body.effective_from, fees: body.fees, usage: body.usage },
      ),
    ),
});

const Span = z.object({
  organization_id: z.string().max(80).optional(),
  from: InstantIn,
  until: InstantIn,
});

const RollForwardView = z
  .strictObject({
    account: z.string().openapi({ example: "liabilities:deferred:USAGE-SMS-1000" }),
    kind: z.enum(["money", "units"]),
    commodity: z.string(),
    opening: z.string(),
    debits: z.string(),
    credits: z.string(),
    closing: z.string(),
  })
  .openapi("LedgerRollForward", { description: "Opening, debits and credits sum to closing." });

const rollForward = endpoint({
  method: "GET",
  path: "/v1/ledger/roll-forward",
  id: "listLedgerRollForward",
  group,
  summary: "See what each account held, moved and holds",
  permission: "ledger.read",
  query: Span.extend({
    kind: z
      .string()
      .regex(/^[a-z-]{1,40}$/)
      .optional()
      .openapi({ example: "deferred" }),
  }),
  response: z.strictObject({ object: z.literal("list"), data: z.array(RollForwardView) }),
  run: async (env, { query }) => {
    const { organization_id: orgId, from, until, kind } = query;
    const found = await listRollForward(env.store.db, { orgId, from, until, kind });
    return {
      object: "list" as const,
      data: found.map(({ account, opening, debits, credits, closing }) => ({
        account,
        kind: closing.kind,
        commodity: closing.commodity,
        opening: balanceText(opening),
        debits: balanceText(debits),
        credits: balanceText(credits),
        closing: balanceText(closing),
      })),
    };
  },
});

const MarginView = z
  .strictObject({ pool: z.string(), revenue: MoneyView, cost: MoneyView, margin: MoneyView })
  .openapi("Margin");

const margins = endpoint({
  method: "GET",
  path: "/v1/reports/margins",
  id: "listMargins",
  group,
  summary: "See revenue, cost of goods sold and margin by what was used",
  description: "From the books alone; revenue is less discounts and refunds.",
  permission: "ledger.read",
  query: Span,
  response: z.strictObject({ object: z.literal("list"), data: z.array(MarginView) }),
  run: async (env, { query }) => {
    const { organization_id: orgId, from, until } = query;
    return {
      object: "list" as const,
      data: (await listMargins(env.store.db, { orgId, from, until })).map((one) => ({
        pool: one.pool,
        revenue: moneyView(one.revenue),
        cost: moneyView(one.cost),
        margin: moneyView(one.margin),
      })),
    };
  },
});

const ClosingView = z
  .strictObject({
    object: z.literal("books_closing"),
    until: InstantText,
    closed_at: InstantText,
    closed_by: z.string(),
    reason: z.string(),
  })
  .openapi("BooksClosing");

const closingView = (lock: LedgerLock): z.input<typeof ClosingView> => ({
  object: "books_closing" as const,
  until: formatInstant(lock.until),
  closed_at: formatInstant(lock.lockedAt),
  closed_by: lock.lockedBy,
  reason: lock.reason,
});

const close = endpoint({
  method: "POST",
  path: "/v1/ledger/closings",
  id: "closeBooks",
  group,
  summary: "Close the books up to a moment",
  description:
    "Everything due is posted and the trial balance must be zero. What is found out later about the time before is dated at that moment.",
  permission: "ledger.write",
  body: z.strictObject({ until: InstantIn, reason: Reason }).openapi("NewBooksClosing"),
  response: ClosingView,
  success: 201,
  problems: ["books_not_closable"],
  atomic: false,
  run: async (env, { body, author }) => closingView(await closeBooks(env, author, body.until)),
});

const closings = endpoint({
  method: "GET",
  path: "/v1/ledger/closings",
  id: "listBooksClosings",
  group,
  summary: "List up to when the books were closed",
  permission: "ledger.read",
  response: z.strictObject({ object: z.literal("list"), data: z.array(ClosingView) }),
  run: async (env) => ({
    object: "list" as const,
    data: (await listLedgerLocks(env.store.db)).map(closingView),
  }),
});

export const ledgerRoutes: readonly Endpoint[] = [
  balances,
  rollForward,
  margins,
  closings,
  close,
  lot,
  stock,
  policies,
  setPolicy,
];
