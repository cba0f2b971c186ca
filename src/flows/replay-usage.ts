import {
  type BillingCalendar,
  type Charge,
  expectedCharges,
  isAdditive,
  priceCuts,
} from "../domain/invoicing/index.ts";
import type { Period } from "../kit/time.ts";
import type { StoredCatalog } from "../store/catalog.ts";
import { sumAllEvents } from "../store/replayed-usage.ts";
import { snapshot } from "../store/transaction.ts";
import type { Env } from "./env.ts";
import { rateByProof } from "./rate-independently.ts";
import { readOffers } from "./read-offers.ts";

/**
 * What the usage of a period comes to at the prices of a book, for every account of an organization: from the raw events and
 * by the second reckoning alone, with no rollup, no document and no primary rating in between. Only meters that add up; before
 * allowances and batches. Keyed by account.
 */
export async function replayUsage(
  env: Pick<Env, "store">,
  catalog: StoredCatalog,
  given: {
    readonly orgId: string;
    readonly priceBook: string;
    readonly calendar: BillingCalendar;
    readonly period: Period;
  },
): Promise<Map<string, Charge[]>> {
  const { orgId, calendar, period } = given;
  const offers = readOffers(catalog, given.priceBook).filter(({ meter }) => isAdditive(meter));
  const edges = [period.startsAt, ...priceCuts(offers, period), period.endsAt];
  const usage = await snapshot(env.store.db, (tx) =>
    sumAllEvents(
      tx,
      orgId,
      offers.map(({ meter }) => meter),
      edges,
    ),
  );
  const account = { calendar };
  return new Map(
    [...usage].map(([accountId, measured]) => [
      accountId,
      expectedCharges({ account, period, offers, measured, fixed: [], covered: [] }, rateByProof),
    ]),
  );
}
