import type { Endpoint } from "./endpoint.ts";
import { accountRoutes } from "./routes/accounts.ts";
import { apiKeyRoutes } from "./routes/api-keys.ts";
import { auditRoutes } from "./routes/audit.ts";
import { bindingRoutes } from "./routes/bindings.ts";
import { invoiceRoutes } from "./routes/invoices.ts";
import { organizationRoutes } from "./routes/organizations.ts";
import { projectRoutes } from "./routes/projects.ts";
import { taxRoutes } from "./routes/taxes.ts";

/** Every address there is, in the order of the reference. One noun a line. */
export const endpoints: readonly Endpoint[] = [
  ...organizationRoutes,
  ...projectRoutes,
  ...accountRoutes,
  ...bindingRoutes,
  ...invoiceRoutes,
  ...apiKeyRoutes,
  ...auditRoutes,
  ...taxRoutes,
];
