import type { Instant } from "../../kit/time.ts";

/** A project as events speak of it, and who paid for it since when. */
export type Place = {
  readonly projectId: string;
  /** In order of `from`. An account of null: nobody pays from then on. */
  readonly bindings: readonly { readonly from: Instant; readonly accountId: string | null }[];
};

/** The account that pays for a project at a moment: that of the last binding that had started by then. */
export function payerAt(place: Place, at: Instant): string | null {
  let payer: string | null = null;
  for (const binding of place.bindings) {
    if (binding.from > at) break;
    payer = binding.accountId;
  }
  return payer;
}
