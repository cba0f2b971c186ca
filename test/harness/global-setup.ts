import type { TestProject } from "vitest/node";
import { migrate } from "../../src/store/migrate.ts";
import { createDatabase, templateName } from "./databases.ts";
import { startTestServer } from "./server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Connection string of the run's server with `{database}` where the name goes. */
    testServer: string;
  }
}

/** One server for the whole run, and in it one migrated template that every test file clones. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startTestServer();
  try {
    await createDatabase(server.url("postgres"), templateName);
    await migrate(server.url(templateName));
  } catch (error) {
    await server.stop();
    throw error;
  }
  project.provide("testServer", server.url("{database}"));
  return () => server.stop();
}
