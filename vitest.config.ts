import { defineConfig } from "vitest/config";

// "unit" needs nothing but Node; "system" starts a real PostgreSQL once and clones a template per file.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "src/kit/**/*.test.ts",
            "src/domain/**/*.test.ts",
            "test/house/**/*.test.ts",
            "test/oracle/**/*.test.ts",
          ],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "system",
          include: [
            "src/{store,gateways,flows,api,jobs,main}/**/*.test.ts",
            "test/{scenarios,system,faults,contract,docs,journeys}/**/*.test.ts",
          ],
          globalSetup: ["test/harness/global-setup.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
