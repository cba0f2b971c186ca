import type { TestProject } from "vitest/node";
import { build, isBuilt } from "../../scripts/build.mjs";
import { migrate } from "../../src/store/migrate.ts";
import { createDatabase, templateName } from "./databases.ts";
import { startTestServer } from "./server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Connection strings of the run's server with `database_name` where the name goes. */
    testServer: { readonly owner: string; readonly application: string };
  }
}

/** One server for the whole run, and in it one migrated template that every test file clones. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Tests that need whole processes start the compiled program.
  if (!isBuilt()) build();
  const server = await startTestServer();
  try {
    await createDatabase(server.url("postgres"), templateName);
    await migrate(server.url(templateName));
  } catch (error) {
    await server.stop();
    throw error;
  }
  project.provide("testServer", {
    owner: server.url("database_name"),
    application: server.applicationUrl("database_name"),
  });
  return () => server.stop();
}
