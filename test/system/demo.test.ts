import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testPrograms } from "../harness/server.ts";

const program = fileURLToPath(new URL("../../bin/tallyline.js", import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tallyline-demo-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function tallyline(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const programs = testPrograms();
  const env = {
    PATH: process.env["PATH"],
    TALLYLINE_LOG_LEVEL: "silent",
    ...(programs ? { TALLYLINE_POSTGRES_BIN: programs } : {}),
  };
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args], {
      cwd: folder,
      env,
    });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

test("the demo issues an invoice whose source figures are known, explains a line, and proves itself; again it changes nothing", async () => {
  const first = await tallyline("demo");
  expect(first).toMatchObject({ code: 0 });
  for (const figure of [
    "$200.00",
    "$125.00",
    "$84.00",
    "$3.75",
    "$45.00",
    "$622.75",
    "$15.00",
    "$40.00",
    "250 × 0.06 = 15",
    "✓ verified",
  ])
    expect(first.out).toContain(figure);
  const shown = first.out.split("\n").filter((line) => !/curl|API key/.test(line));
  expect(shown.filter((line) => line.length > 80)).toEqual([]);

  const again = JSON.parse((await tallyline("demo", "--json")).out) as {
    invoice: string;
    is_match: boolean;
    secret: null;
  };
  expect(again).toMatchObject({ invoice: "INV-000001", is_match: true, secret: null });
});

test("a port that is taken is said plainly, with the way out", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as { port: number };
  const { code, err } = await tallyline("up", "--port", String(port));
  await new Promise((resolve) => other.close(resolve));
  expect(code).toBe(3);
  expect(err).toContain(
    `127.0.0.1:${port} is taken by another program. Choose another with --port`,
  );
});
