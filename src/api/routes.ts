import type { Endpoint } from "./endpoint.ts";
import { accountCreditRoutes } from "./routes/account-credit.ts";
import { accountRoutes } from "./routes/accounts.ts";
import { apiKeyRoutes } from "./routes/api-keys.ts";
import { auditRoutes } from "./routes/audit.ts";
import { billingRunRoutes } from "./routes/billing-runs.ts";
import { bindingRoutes } from "./routes/bindings.ts";
import { catalogRoutes } from "./routes/catalog.ts";
import { installationRoutes } from "./routes/installation.ts";
import { disputeRoutes } from "./routes/disputes.ts";
import { invoiceRoutes } from "./routes/invoices.ts";
import { mailRoutes } from "./routes/mails.ts";
import { meterRoutes } from "./routes/meters.ts";
import { organizationRoutes } from "./routes/organizations.ts";
import { paymentNotificationRoutes } from "./routes/payment-notifications.ts";
import { paymentRoutes } from "./routes/payments.ts";
import { lateUsageRoutes } from "./routes/late-usage.ts";
import { projectRoutes } from "./routes/projects.ts";
import { ratingRoutes } from "./routes/rating.ts";
import { subscriptionRoutes } from "./routes/subscriptions.ts";
import { taxRoutes } from "./routes/taxes.ts";
import { usageRoutes } from "./routes/usage.ts";
import { usageEventRoutes } from "./routes/usage-events.ts";
import { ledgerRoutes } from "./routes/ledger.ts";
import { limitRoutes } from "./routes/limits.ts";
import { priceCorrectionRoutes } from "./routes/price-corrections.ts";
import { prepaidRoutes } from "./routes/prepaid.ts";

/** Every address there is, in the order of the reference. One noun a line. */
export const endpoints: readonly Endpoint[] = [
  ...organizationRoutes,
  ...projectRoutes,
  ...accountRoutes,
  ...bindingRoutes,
  ...usageEventRoutes,
  ...meterRoutes,
  ...catalogRoutes,
  ...priceCorrectionRoutes,
  ...subscriptionRoutes,
  ...usageRoutes,
  ...prepaidRoutes,
  ...limitRoutes,
  ...invoiceRoutes,
  ...lateUsageRoutes,
  ...disputeRoutes,
  ...billingRunRoutes,
  ...ledgerRoutes,
  ...paymentRoutes,
  ...accountCreditRoutes,
  ...paymentNotificationRoutes,
  ...mailRoutes,
  ...ratingRoutes,
  ...apiKeyRoutes,
  ...auditRoutes,
  ...installationRoutes,
  ...taxRoutes,
];
