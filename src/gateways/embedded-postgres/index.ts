export { EmbeddedPostgresError } from "./error.ts";
export { startEmbeddedPostgres } from "./server.ts";
