import fc from "fast-check";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { textArray } from "./columns.ts";

let env: TestEnv;
beforeAll(async () => {
  env = await testEnv();
});
afterAll(() => env.close());

const readBack = async (written: string): Promise<(string | null)[]> => {
  const { rows } = await sql<{ values: (string | null)[] }>`
    select ${written}::text[] as values`.execute(env.store.db);
  return rows[0]?.values ?? [];
};

// Postgres has no zero character in its texts, and no half of a pair.
const text = fc
  .string({ unit: "binary", maxLength: 20 })
  .filter((one) => !one.includes("\0") && Buffer.from(one).toString() === one);
const awkward = fc.constantFrom(
  "",
  "null",
  "NULL",
  "{",
  "}",
  ",",
  " ",
  '"',
  "\\",
  "\n",
  '\t"\\n',
  "a\\\nb",
);

test("an array of any texts is read back as it was", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(text, awkward, fc.constant(null))), async (values) => {
      expect(await readBack(textArray(values))).toEqual(values);
    }),
    { numRuns: 300 },
  );
});

test("a document in an array is the same text to the last byte", async () => {
  const document = canonicalJson({
    name: 'Ünï "quoted" \\ \u0001 \ud83d\ude00',
    lines: [{ a: "\n\t" }],
  });
  expect(await readBack(textArray([document]))).toEqual([document]);
});
