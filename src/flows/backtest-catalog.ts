import {
  type Catalog,
  type CatalogFile,
  type CatalogItem,
  formatPlanRef,
  itemsOf,
  type Plan,
  type PlanVersion,
  versionOf,
  writePrice,
} from "../domain/catalog/index.ts";
import { type ContentLine, periodAt, ratePrimary } from "../domain/invoicing/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { type Currency } from "../kit/currency.ts";
import { decimal, formatDecimal, subtract } from "../kit/decimal.ts";
import { type Instant, type Period, startOfDay, type Day } from "../kit/time.ts";
import {
  getCatalog,
  type StoredCatalog,
  type StoredPlanVersion,
  type StoredPrice,
  type StoredSku,
} from "../store/catalog.ts";
import { getPublishedCatalog } from "../store/plans.ts";
import { measureWindows } from "../store/invoice-usage.ts";
import {
  type AccountKey,
  type AccountToInvoice,
  listAccountsToInvoice,
  pageAccountKeys,
} from "../store/invoice-facts.ts";
import { snapshot } from "../store/transaction.ts";
import { planCatalog, type CatalogPlan } from "./apply-catalog.ts";
import { type Drafted, draftInvoices, type DraftScope, draftScopes } from "./draft-invoices.ts";
import type { Env } from "./env.ts";
import { bookFor, readOffers, readPlanOffers } from "./read-offers.ts";

/** What one account would have paid for a period under another catalog. */
export type AccountEffect = {
  readonly orgId: string;
  readonly accountId: string;
  readonly slug: string;
  readonly currency: Currency;
  readonly period: Period;
  readonly before: string;
  readonly after: string;
  readonly difference: string;
  /** SKUs whose amounts differ, under the edited catalog. */
  readonly lines: readonly {
    readonly sku: string;
    readonly before: string;
    readonly after: string;
  }[];
};

export type Backtest = {
  readonly accounts: number;
  readonly affected: readonly AccountEffect[];
  /** Accounts whose usage cannot be billed under the edited catalog, and why. */
  readonly obstacles: readonly { readonly slug: string; readonly why: string }[];
};

const pageSize = 500;

/**
 * Re-rate the real, stored usage of every account as if the edited prices had held for the whole period, and compare. It is
 * the drafting of invoices itself, with other prices and without documents: what it shows is what would have been billed.
 */
export async function backtestCatalog(
  env: Env,
  wanted: Catalog,
  periodOf: (of: AccountToInvoice) => Period,
  onProgress: (done: number) => void = () => {},
): Promise<Backtest> {
  const current = await getCatalog(env.store);
  const edited = asIf(current, await getPublishedCatalog(env.store), wanted);
  const affected: AccountEffect[] = [];
  const obstacles: { slug: string; why: string }[] = [];
  let done = 0;
  for (let after: AccountKey | undefined; ; ) {
    const keys = await pageAccountKeys(env.store.db, { after, limit: pageSize });
    if (keys.length === 0) return { accounts: done, affected, obstacles };
    await snapshot(env.store.db, async (db) => {
      const accounts = await listAccountsToInvoice(db, keys);
      const requests = accounts.map((of) => ({ of, period: periodOf(of) }));
      const scopes = (await draftInvoices(db, current, requests)).map(({ scope }) =>
        unbilled(scope),
      );
      const before = await draftScopes(db, scopes, measureWindows, ratePrimary);
      const then = await draftScopes(db, scopes.map(under(edited)), measureWindows, ratePrimary);
      then.forEach((one, i) => {
        const old = before[i];
        if (old === undefined) return;
        const effect = effectOf(old, one);
        if (effect !== undefined) affected.push(effect);
        const news = one.contradictions.filter((why) => !old.contradictions.includes(why));
        for (const why of news) obstacles.push({ slug: one.scope.of.account.slug, why });
      });
    });
    done += keys.length;
    onProgress(done);
    after = keys.at(-1);
  }
}

/** A plan of changes together with what it would have changed, for whom, in the period that is running. */
export async function planWithMoney(
  env: Env,
  files: readonly CatalogFile[],
  onProgress?: (done: number) => void,
): Promise<CatalogPlan & { readonly backtest: Backtest | undefined }> {
  const plan = await planCatalog(env, files);
  const isAboutMoney = plan.diff.steps.some(
    (step) => (step.kind === "price" || step.kind === "plan_version") && step.act === "add",
  );
  if (!isAboutMoney) return { ...plan, backtest: undefined };
  const running = ({ account }: AccountToInvoice) => periodAt(account.calendar, env.now());
  return { ...plan, backtest: await backtestCatalog(env, plan.wanted, running, onProgress) };
}

/** The invoice period of each account that begins in a month: "2025-01". */
export function periodNamed(name: string): (of: AccountToInvoice) => Period {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(name))
    throw new Problem("request_not_valid", `"${name}" is not a month: write it as in 2025-01.`);
  return ({ account: { calendar } }) => {
    const day = `${name}-${String(calendar.invoiceDay).padStart(2, "0")}` as Day;
    return periodAt(calendar, startOfDay(day, calendar.timeZone));
  };
}

// Only the period itself, and nothing taken off for what documents already carry.
const unbilled = (scope: DraftScope): DraftScope => ({
  ...scope,
  periods: [scope.period],
  below: 0n,
});

const under =
  (catalog: StoredCatalog) =>
  (scope: DraftScope): DraftScope => {
    const { account, priceBook: own } = scope.of;
    const priceBook = bookFor(catalog, own, account.currency);
    return {
      ...scope,
      priceBook,
      offers: readOffers(catalog, priceBook),
      plans: readPlanOffers(catalog),
    };
  };

function effectOf(before: Drafted, after: Drafted): AccountEffect | undefined {
  const { account } = before.scope.of;
  const [old, now] = [before.draft.content, after.draft.content];
  const lines = [...new Set([...old.lines, ...now.lines].map((line) => line.sku))]
    .map((sku) => ({ sku, before: sumOf(old.lines, sku), after: sumOf(now.lines, sku) }))
    .filter((line) => line.before !== line.after);
  if (lines.length === 0 && old.subtotal === now.subtotal) return undefined;
  return {
    orgId: account.orgId,
    accountId: account.accountId,
    slug: account.slug,
    currency: account.currency,
    period: before.scope.period,
    before: old.subtotal,
    after: now.subtotal,
    difference: formatDecimal(subtract(decimal(now.subtotal), decimal(old.subtotal))),
    lines,
  };
}

const sumOf = (lines: readonly ContentLine[], sku: string): string =>
  formatDecimal(
    lines
      .filter((line) => line.sku === sku)
      .reduce((sum, line) => sum.plus(decimal(line.unrounded)), decimal("0")),
  );

/**
 * The catalog as it would be, in the form that drafting reads. Where the edited files end in another price than the one
 * in force, that price holds from the beginning, whatever date it carries. Where they add a version to a plan, its usage
 * prices hold for everybody who has any version of the plan.
 */
function asIf(current: StoredCatalog, inForce: Catalog, wanted: Catalog): StoredCatalog {
  const documents = itemsOf(wanted);
  const of = (kind: string) => documents.filter((item) => item.kind === kind);
  const prices = new Map<string, Map<string, StoredPrice[]>>();
  const place = (price: StoredPrice) => {
    const book = prices.get(price.book) ?? new Map<string, StoredPrice[]>();
    prices.set(price.book, book);
    book.set(price.skuCode, [...(book.get(price.skuCode) ?? []), price]);
  };
  const latest = new Map(
    wanted.prices
      .toSorted((a, b) => a.effectiveFrom - b.effectiveFrom)
      .map((entry) => [`${entry.book} ${entry.sku}`, entry]),
  );
  const replaced = new Set<string>();
  for (const entry of latest.values()) {
    const known = current.prices.get(entry.book)?.get(entry.sku) ?? [];
    const definition = writePrice(entry.price);
    const last = known.at(-1);
    if (last && canonicalJson(last.definition) === canonicalJson(definition)) {
      known.forEach(place);
      continue;
    }
    replaced.add(`${entry.book} ${entry.sku}`);
    place({
      priceId: `backtest ${entry.book} ${entry.sku}`,
      book: entry.book,
      skuCode: entry.sku,
      currency: entry.price.currency,
      version: known.length + 1,
      effectiveFrom: 0 as Instant,
      definition,
      publishedBy: "backtest",
      publishedAt: 0 as Instant,
    });
  }
  return {
    ...current,
    corrections: current.corrections.filter((one) => !replaced.has(`${one.book} ${one.skuCode}`)),
    meters: new Map([
      ...current.meters,
      ...wanted.meters
        .filter((meter) => !current.meters.has(meter.key))
        .map(
          (meter) =>
            [
              meter.key,
              {
                meterId: `backtest ${meter.key}`,
                key: meter.key,
                eventType: meter.eventType,
                status: meter.status,
                definition: of("meter").find((item) => item.name === meter.key)?.document,
              },
            ] as const,
        ),
    ]),
    skus: new Map(
      wanted.skus.map((sku): [string, StoredSku] => [
        sku.code,
        current.skus.get(sku.code) ?? {
          skuId: `backtest ${sku.code}`,
          code: sku.code,
          name: sku.name,
          kind: sku.kind,
          status: sku.status,
          meterKey: sku.meter,
          definition: of("sku").find((item) => item.name === sku.code)?.document,
        },
      ]),
    ),
    books: new Map(wanted.books.map((book) => [book.code, book])),
    prices,
    pricedPlans: wanted.plans.flatMap((plan) => {
      const isNew = plan.versions.some(
        (one) => versionOf(inForce.plans, refOf(plan, one)) === undefined,
      );
      return isNew
        ? plansAsIf(plan, of("plan_version"))
        : current.pricedPlans.filter((one) => one.plan === plan.key);
    }),
  };
}

const refOf = (plan: Plan, { version }: PlanVersion) => ({ plan: plan.key, version });

/** All versions of a plan with what stands in the newest: whoever has any of them is priced by it. */
function plansAsIf(plan: Plan, versions: readonly CatalogItem[]): StoredPlanVersion[] {
  const newest = plan.versions
    .filter(({ status }) => status === "published")
    .toSorted((a, b) => a.version - b.version)
    .at(-1);
  const definition = versions.find(
    ({ name }) => newest !== undefined && name === formatPlanRef(refOf(plan, newest)),
  )?.document;
  return definition === undefined
    ? []
    : plan.versions.map(({ version, effectiveFrom }) => ({
        plan: plan.key,
        version,
        effectiveFrom,
        definition,
      }));
}
