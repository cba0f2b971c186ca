import type { Coverage, FixedCharge, Measured } from "../domain/invoicing/index.ts";
import type { Period } from "../kit/time.ts";
import type { Db } from "../store/connect.ts";
import type { AccountKey } from "../store/invoice-facts.ts";
import type { UsageWindow } from "../store/invoice-usage.ts";
import { chargeSubscriptions } from "./charge-subscriptions.ts";
import { grantCharges } from "./grant-charges.ts";
import { lateFees } from "./late-fees.ts";

/** What else than its own usage prices an account's period: fees and purchases, and units already paid for. */
export type OtherCharges = {
  readonly fixed: readonly FixedCharge[];
  readonly covered: readonly Coverage[];
};

/** An account's period, as it is known now or, for a document of old, as it was known up to an event. */
export type ChargeSpan = AccountKey & { readonly period: Period; readonly untilSeq: bigint | null };

/** How usage is measured: from the rollups, or by the second path from the raw events. */
export type Measure = (
  db: Db,
  windows: readonly UsageWindow[],
) => Promise<ReadonlyMap<string, readonly Measured[]>>;

/** One room's share of the charges, for many account periods at once, in the order they were asked for. */
export type ChargeSource = (
  db: Db,
  spans: readonly ChargeSpan[],
  measure: Measure,
) => Promise<readonly OtherCharges[]>;

/** Every room that puts something on an invoice beside usage prices. Order does not matter. */
const chargeSources: readonly ChargeSource[] = [chargeSubscriptions, grantCharges, lateFees];

/** All rooms' shares together. */
export async function loadOtherCharges(
  db: Db,
  spans: readonly ChargeSpan[],
  measure: Measure,
): Promise<OtherCharges[]> {
  const shares: (readonly OtherCharges[])[] = [];
  for (const source of chargeSources) shares.push(await source(db, spans, measure));
  return spans.map((_, i) => ({
    fixed: shares.flatMap((share) => share[i]?.fixed ?? []),
    covered: shares.flatMap((share) => share[i]?.covered ?? []),
  }));
}
