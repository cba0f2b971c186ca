export {
  type AccountEdit,
  type AccountHistory,
  type AccountParentRefusal,
  type Address,
  type BillingAccount,
  type Contact,
  type Cycle,
  cycles,
  type EditRefusal,
  hasHistory,
  mayBePaidBy,
  mayEdit,
  type TaxId,
  type Terms,
} from "./account.ts";
export { type Condition, conditionsOf, type InvoicingFacts } from "./conditions.ts";
export {
  type AccountEvent,
  type AccountStatus,
  accountStatuses,
  type ClosingFacts,
  type ClosingRefusal,
  mayArchive,
  mayReactivate,
  type ReactivationRefusal,
  type SuspensionCode,
  suspensionCodes,
  type TransitionRefusal,
  transitions,
} from "./lifecycle.ts";
export {
  acceptsChanges,
  mayStandBelow,
  type Organization,
  type OrganizationKind,
  type OrganizationStatus,
  organizationKinds,
  organizationStatuses,
  type ParentRefusal,
} from "./organization.ts";
export {
  discountUntil,
  type EarlyDiscount,
  earlyDiscountOf,
  type LateFee,
  lateFeeOf,
  lateMonthOn,
  type PricedTerms,
} from "./payment-terms.ts";
export {
  type AccountRef,
  mayChangePayer,
  paidFor,
  paidWithin,
  type Payable,
  payerAt,
  type PayerBook,
  payerBook,
  type PayerChange,
  type PayerFacts,
  type PayerRefusal,
  payersMark,
  type Stretch,
  stretchesOf,
} from "./payers.ts";
export type { Project } from "./project.ts";
export { documentRecipients } from "./recipients.ts";
export {
  type Binding,
  type BindingDecision,
  type BindingFacts,
  type BindingRefusal,
  type BindingWish,
  bind,
  type Interval,
  intervalAt,
  timelineOf,
} from "./timeline.ts";
