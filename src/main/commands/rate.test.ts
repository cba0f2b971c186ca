import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { main } from "../cli.ts";

const folder = mkdtempSync(join(tmpdir(), "tallyline-rate-"));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function rate(...args: readonly string[]) {
  const said = { out: "", err: "" };
  const code = await main(
    ["rate", ...args],
    {},
    {
      out: (text) => {
        said.out += text;
      },
      err: (text) => {
        said.err += text;
      },
    },
  );
  return { code, ...said };
}

const graduated = (tiers: string) => `currency: USD\nmodel: graduated\ntiers:\n${tiers}`;
const good = graduated(`
  - { up_to: 10000, unit_amount: "0.001" }
  - { up_to: 100000, unit_amount: "0.0008" }
  - { up_to: null, unit_amount: "0.0006" }
`);

describe("tallyline rate", () => {
  test("prints currency, amount, unrounded and segments as JSON, and nothing else", async () => {
    const { code, out, err } = await rate(
      "--price",
      file("good.yaml", good),
      "--quantity",
      "10001",
      "--json",
    );
    expect([code, err]).toEqual([0, ""]);
    const said = JSON.parse(out);
    expect(Object.keys(said)).toEqual(["currency", "amount", "unrounded", "segments"]);
    expect(said).toMatchObject({ currency: "USD", amount: "10.00", unrounded: "10.0008" });
    expect(said.segments[1]).toEqual({
      tier: { index: 1, lower: "10000", upper: "100000" },
      quantity: "1",
      unit_price: "0.0008",
      amount: "0.0008",
      because: {
        kind: "tier",
        sentence: "the part of the quantity in tier 2 (above 10000, up to 100000)",
      },
    });
  });

  test("reads JSON as well", async () => {
    const price = { currency: "JPY", model: "per_unit", unit_amount: "0.5" };
    const { out } = await rate(
      "--price",
      file("p.json", JSON.stringify(price)),
      "--quantity",
      "3",
      "--json",
    );
    expect(JSON.parse(out)).toMatchObject({ amount: "2", unrounded: "1.5" });
  });

  test.each([
    [
      "tier 2 ends at 5",
      `  - {up_to: 10, unit_amount: "1"}\n  - {up_to: 5, unit_amount: "1"}\n  - {unit_amount: "1"}`,
    ],
    ["tier 1 is the last", `  - {up_to: 10, unit_amount: "1"}`],
    ["tier 2 comes after tier 1, which is open", `  - {unit_amount: "1"}\n  - {unit_amount: "2"}`],
    ["tier 2 starts at 11", `  - {up_to: 10, unit_amount: "1"}\n  - {from: 11, unit_amount: "2"}`],
    [
      '/tiers/0/unit_amount: the number 0.10 is not in quotes and may lose digits on the way: write "0.10" (line 4)',
      `  - {unit_amount: 0.10}`,
    ],
  ])("refuses an unsound price with exit code 1: %s", async (says, tiers) => {
    const { code, out, err } = await rate(
      "--price",
      file("bad.yaml", graduated(tiers)),
      "--quantity",
      "1",
    );
    expect([code, out]).toEqual([1, ""]);
    expect(err).toContain(says);
  });

  test.each([
    ["no such file", ["--price", "nowhere.yaml", "--quantity", "1"]],
    ["line 2", ["--price", file("broken.yaml", "a: 1\na: 2"), "--quantity", "1"]],
    ["decimal|digits", ["--price", file("good.yaml", good), "--quantity", "1e3"]],
    ["--quantity or --usage", ["--price", file("good.yaml", good)]],
    ["--price", ["--quantity", "1"]],
    ["key=value", ["--price", file("good.yaml", good), "--quantity", "1", "--dimension", "x"]],
  ])("called wrongly is exit code 2: %s", async (says, args) => {
    const { code, out, err } = await rate(...args);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(new RegExp(says));
  });

  test("usage that the price cannot price is exit code 1 and says what is missing", async () => {
    const price = file(
      "matrix.yaml",
      `currency: USD\nmodel: matrix\ndimensions: [model]\ncells: [{match: {model: A}, unit_amount: "1"}]`,
    );
    const { code, err } = await rate("--price", price, "--quantity", "1", "--dimension", "model=B");
    expect(code).toBe(1);
    expect(err).toContain("no cell matches usage with model=B");
  });
});
