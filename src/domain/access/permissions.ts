/**
 * The narrowest key that may ever hold a permission. `provider` permissions are for staff: no key of an organization can
 * hold one, whatever its roles say, so a customer has no way to prices, grants, limits or terms.
 */
export type Holder = "project" | "organization" | "provider";

/** Everything a key can be allowed to do. An endpoint names exactly one of these. Keep sorted by name. */
export const permissions = {
  "accounts.approve": {
    holder: "provider",
    says: "Approve what another person prepared: reactivation, closing",
  },
  "accounts.read": { holder: "organization", says: "See billing accounts and their states" },
  "accounts.status": {
    holder: "provider",
    says: "Suspend accounts, record that a cause is cleared",
  },
  "accounts.terms": {
    holder: "provider",
    says: "Grant payment terms, credit limits and price books",
  },
  "accounts.write": {
    holder: "organization",
    says: "Open billing accounts, change contacts and references",
  },
  "audit.read": { holder: "organization", says: "See who changed what, and verify the chain" },
  "bindings.backdate": {
    holder: "provider",
    says: "Bind a project with effect from a past moment",
  },
  "bindings.read": { holder: "organization", says: "See which account pays for which project" },
  "bindings.write": {
    holder: "organization",
    says: "Choose which account pays for a project from now on",
  },
  "budgets.read": { holder: "organization", says: "See budgets and alerts" },
  "budgets.write": { holder: "organization", says: "Set budgets and alerts" },
  "catalog.approve": { holder: "provider", says: "Approve prices that another person prepared" },
  "catalog.read": {
    holder: "organization",
    says: "See meters, SKUs, plans and the prices one buys at",
  },
  "catalog.write": {
    holder: "provider",
    says: "Change meters, SKUs, price books, prices and plans",
  },
  "clock.write": { holder: "organization", says: "Move the clock of a sandbox organization" },
  "corrections.approve": {
    holder: "provider",
    says: "Approve corrections that another person prepared",
  },
  "corrections.write": {
    holder: "provider",
    says: "Prepare credit notes, adjustments and write-offs",
  },
  "disputes.read": { holder: "organization", says: "See disputes and their messages" },
  "disputes.resolve": { holder: "provider", says: "Decide disputes" },
  "disputes.write": { holder: "organization", says: "Dispute an invoice line" },
  "entitlements.read": {
    holder: "project",
    says: "Ask whether something may be used and how much is left",
  },
  "grants.read": { holder: "organization", says: "See batches, credits and their movements" },
  "grants.transfer": { holder: "organization", says: "Pass units on to a customer of one's own" },
  "grants.write": { holder: "provider", says: "Give, correct and take back units and credits" },
  "installation.read": { holder: "provider", says: "See the state of the installation" },
  "installation.write": { holder: "provider", says: "Change settings of the installation" },
  "invoices.read": { holder: "organization", says: "See, explain and verify invoices" },
  "invoices.write": { holder: "provider", says: "Issue and void invoices" },
  "keys.read": { holder: "organization", says: "See API keys, never their secrets" },
  "keys.write": { holder: "organization", says: "Create and revoke API keys" },
  "ledger.read": { holder: "provider", says: "See the books" },
  "ledger.write": { holder: "provider", says: "Post to the books, lock periods" },
  "organizations.admin": { holder: "provider", says: "Create, suspend and close any organization" },
  "organizations.read": { holder: "organization", says: "See organizations" },
  "organizations.write": {
    holder: "organization",
    says: "Rename one's organization, create customers of a partner",
  },
  "payments.read": { holder: "organization", says: "See payments" },
  "payments.write": { holder: "provider", says: "Record payments and refunds" },
  "projects.read": { holder: "organization", says: "See projects and subjects" },
  "projects.write": {
    holder: "organization",
    says: "Create, rename and close projects and subjects",
  },
  "purchases.write": { holder: "organization", says: "Buy batches and credits" },
  "quarantine.read": {
    holder: "organization",
    says: "See events that could not be attributed or measured",
  },
  "quarantine.write": { holder: "organization", says: "Replay or resolve quarantined events" },
  "rating.estimate": { holder: "organization", says: "Ask what a quantity would cost" },
  "reports.read": { holder: "provider", says: "See reports across organizations" },
  "reservations.write": {
    holder: "project",
    says: "Hold units or money before the work, commit or release after",
  },
  "runs.write": { holder: "provider", says: "Start and resume billing runs" },
  "subscriptions.read": { holder: "organization", says: "See subscriptions" },
  "subscriptions.write": { holder: "organization", says: "Subscribe to plans, change and cancel" },
  "taxes.write": { holder: "provider", says: "Set tax rates and exemptions" },
  "usage.read": { holder: "project", says: "Query usage and single events" },
  "usage.write": { holder: "project", says: "Send usage events" },
  "webhooks.write": { holder: "organization", says: "Register webhook endpoints" },
} as const satisfies Record<string, { readonly holder: Holder; readonly says: string }>;

export type Permission = keyof typeof permissions;
export const permissionNames = Object.keys(permissions) as Permission[];
