import type { Currency } from "../../kit/currency.ts";
import type { AccountId, OrganizationId } from "../../kit/ids.ts";
import type { Money } from "../../kit/money.ts";
import type { Instant } from "../../kit/time.ts";
import type { AccountStatus } from "./lifecycle.ts";
import type { EarlyDiscount, LateFee } from "./payment-terms.ts";

export const cycles = ["month", "quarter", "year"] as const;
export type Cycle = (typeof cycles)[number];

export type Contact = {
  readonly name: string;
  readonly email: string;
  readonly role: "owner" | "billing" | "technical";
};
export type TaxId = { readonly type: string; readonly value: string };
export type Address = {
  readonly lines: readonly string[];
  readonly city: string;
  readonly postalCode: string;
  readonly region: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
};

/** How the account may pay: granted by staff, never taken. */
export type Terms = {
  readonly netDays: number;
  readonly creditLimit: Money | null;
  readonly agreementReference: string | null;
  readonly earlyDiscount: EarlyDiscount | null;
  readonly lateFee: LateFee | null;
  readonly grantedAt: Instant;
};

/** The payer. One currency, one zone, one organization. */
export type BillingAccount = {
  readonly id: AccountId;
  readonly organizationId: OrganizationId;
  readonly slug: string;
  readonly name: string;
  readonly currency: Currency;
  readonly timeZone: string;
  readonly priceBook: string | null;
  readonly invoiceDay: number;
  readonly cycle: Cycle;
  readonly terms: Terms | null;
  readonly parentId: AccountId | null;
  readonly status: AccountStatus;
  readonly statusReason: string;
  readonly statusAt: Instant;
  /** When it first became ready: from then on the currency stays. */
  readonly activatedAt: Instant | null;
  /** Set while suspended, once somebody has recorded that the cause is gone. */
  readonly causeCleared: { readonly at: Instant; readonly by: string } | null;
  readonly legalName: string | null;
  readonly address: Address | null;
  readonly taxIds: readonly TaxId[];
  readonly contacts: readonly Contact[];
  readonly apEmail: string | null;
  readonly poNumber: string | null;
  readonly language: string;
  readonly createdAt: Instant;
};

/** What happened to an account so far, as far as it limits what may still happen. */
export type AccountHistory = {
  readonly hasBindings: boolean;
  readonly hasUsage: boolean;
  readonly hasInvoices: boolean;
  /** Another account pays for it, or did, or it for another. */
  readonly hasPayers: boolean;
};
export const hasHistory = (history: AccountHistory): boolean =>
  history.hasBindings || history.hasUsage || history.hasInvoices || history.hasPayers;

export type AccountEdit = Partial<
  Pick<BillingAccount, "currency" | "timeZone" | "invoiceDay" | "cycle">
>;
export type EditRefusal = "account_archived" | "account_currency_fixed" | "account_periods_fixed";

/**
 * Whether the members that money depends on may change. The currency is fixed once the account was ready; zone, invoice day
 * and cycle once it has usage or invoices, because its periods must go on tiling time, and while it shares an invoice.
 */
export function mayEdit(
  account: BillingAccount,
  history: AccountHistory,
  edit: AccountEdit,
): EditRefusal | undefined {
  const changes = (key: keyof AccountEdit) => edit[key] !== undefined && edit[key] !== account[key];
  if (account.status === "archived") return "account_archived";
  if (changes("currency") && (account.activatedAt !== null || hasHistory(history)))
    return "account_currency_fixed";
  const periods = changes("timeZone") || changes("invoiceDay") || changes("cycle");
  if (periods && (history.hasUsage || history.hasInvoices || history.hasPayers))
    return "account_periods_fixed";
  return undefined;
}

/** A parent pays for its children, for theirs, and no further down. */
export const accountDepthMax = 4;

export type AccountParentRefusal =
  | "account_parent_circle"
  | "account_parent_too_deep"
  | "account_parent_currency"
  | "account_archived";

/**
 * Whether an account may be paid for by another. `lineage` is the parent, its parent, and so on up; `heightBelow` how many
 * levels hang below the account itself.
 */
export function mayBePaidBy(
  account: Pick<BillingAccount, "id" | "currency" | "status">,
  lineage: readonly Pick<BillingAccount, "id" | "currency" | "status">[],
  heightBelow: number,
): AccountParentRefusal | undefined {
  const parent = lineage[0];
  if (account.status === "archived" || parent?.status === "archived") return "account_archived";
  if (lineage.some((ancestor) => ancestor.id === account.id)) return "account_parent_circle";
  // One invoice, one currency: nothing is ever converted behind anybody's back.
  if (parent && parent.currency !== account.currency) return "account_parent_currency";
  if (lineage.length + 1 + heightBelow > accountDepthMax) return "account_parent_too_deep";
  return undefined;
}
