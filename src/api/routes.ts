import type { Endpoint } from "./endpoint.ts";
import { apiKeyRoutes } from "./routes/api-keys.ts";

/** Every address there is, in the order of the reference. One noun a line. */
export const endpoints: readonly Endpoint[] = [...apiKeyRoutes];
