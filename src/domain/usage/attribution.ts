import type { Instant } from "../../kit/time.ts";

/** A project as events speak of it, and who paid for it since when. */
export type Place = {
  readonly projectId: string;
  /** In order of `from`. */
  readonly bindings: readonly { readonly from: Instant; readonly payer: Payer }[];
};

/** An account, and the name that tells it apart from those of all organizations. Null: nobody pays. */
export type Payer = { readonly accountId: string; readonly accountName: string } | null;

export const accountName = (orgId: string, accountId: string): string => `${orgId}\n${accountId}`;
export const payerIn = (orgId: string, accountId: string): NonNullable<Payer> => ({
  accountId,
  accountName: accountName(orgId, accountId),
});

/** The account that pays for a project at a moment: that of the last binding that had started by then. */
export function payerAt(place: Place, at: Instant): Payer {
  let payer: Payer = null;
  for (const binding of place.bindings) {
    if (binding.from > at) break;
    payer = binding.payer;
  }
  return payer;
}
