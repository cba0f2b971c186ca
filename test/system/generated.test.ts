import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("table types and schema are what the migrations make", async () => {
  const run = promisify(execFile)("npx", ["tsx", "scripts/gen.ts", "--check"]).catch(
    (error: { stdout: string }) => error,
  );
  expect((await run).stdout).toBe("");
});
