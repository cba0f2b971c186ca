import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../../src/gateways/embedded-postgres/index.ts";

/** A throw-away PostgreSQL for one test run: nothing survives it, so nothing is flushed to disk. */
export type TestServer = {
  readonly version: string;
  /** As the owner, who may do everything. */
  url(database: string): string;
  /** As the role that serves requests. */
  applicationUrl(database: string): string;
  stop(): Promise<void>;
};

/** Embedded 18 unless `TALLYLINE_TEST_POSTGRES` says "15" or names a folder with the programs of a server. */
export async function startTestServer(): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "tallyline-test-"));
  const server = await startEmbeddedPostgres({
    folder,
    programs: testPrograms(),
    throwaway: true,
  });
  return {
    version: server.version,
    url: (database) => server.urlOfOwner(database),
    applicationUrl: (database) => server.urlOfApplication(database),
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The folder of programs that this run was asked to test; undefined for the packaged ones. */
export function testPrograms(): string | undefined {
  const asked = process.env["TALLYLINE_TEST_POSTGRES"];
  if (!asked || asked === "18") return undefined;
  return asked.includes("/") ? asked : `/usr/lib/postgresql/${asked}/bin`;
}
