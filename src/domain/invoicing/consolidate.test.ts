import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aFamily, danish, draftOf } from "../../../test/samples/families.ts";
import { currency } from "../../kit/currency.ts";
import { formatMoney, parseMoney, sumMoney } from "../../kit/money.ts";
import { instant } from "../../kit/time.ts";
import { compareContents } from "./compare.ts";
import { consolidate } from "./consolidate.ts";
import { finalize, finalizeStatement } from "./finalize.ts";
import { seriesFor } from "./number.ts";

const usd = currency("USD");
const sumOf = (amounts: readonly string[]): string =>
  formatMoney(
    sumMoney(
      usd,
      amounts.map((amount) => parseMoney(amount, usd)),
    ),
  );

describe("a document for a payer and its children", () => {
  test("tax is rounded once for the whole, and each section carries the tax of its lines", () => {
    // 25 % of 0.02 is 0.005 a child: three statements by themselves would come to 0.03, the one document owes 0.02 (0.015).
    const whole = aFamily([], [["0.02"], ["0.02"], ["0.02"]], danish("25"));
    expect([whole.content.subtotal, whole.content.tax, whole.content.total]).toEqual([
      "0.06",
      "0.02",
      "0.08",
    ]);
    expect(whole.content.sections?.map((one) => one.tax)).toEqual(["0.01", "0.01", "0.00"]);
    expect(whole.statements?.map((one) => one.content.total)).toEqual(["0.03", "0.03", "0.02"]);
  });

  test("accounts with nothing to charge have no section, and without children it is an ordinary invoice", () => {
    const own = draftOf("parent", ["5.00"], danish());
    expect(consolidate(own, [draftOf("child-1", [], danish())], danish())).toBe(own);
    const whole = aFamily([], [[], ["3.00"]], danish());
    expect(whole.content.sections?.map((one) => one.slug)).toEqual(["child-2"]);
  });

  const amounts = fc
    .array(
      fc.integer({ min: -2000, max: 50_000 }).map((minor) => (minor / 1000).toFixed(3)),
      { maxLength: 5 },
    )
    .filter((list) => list.every((one) => one !== "0.000" && one !== "-0.000"));

  test("sections sum to the document exactly, and each statement is its section (invariant 37)", () => {
    fc.assert(
      fc.property(
        amounts,
        fc.array(amounts, { maxLength: 6 }),
        fc.constantFrom("25", "8.25", "0", "19"),
        fc.boolean(),
        (own, children, percent, includes) => {
          const whole = aFamily(own, children, danish(percent, includes));
          const { content } = whole;
          if (children.every((list) => list.length === 0)) {
            expect(content.sections).toBeUndefined();
            return;
          }
          for (const field of ["subtotal", "tax", "total"] as const)
            expect(sumOf((content.sections ?? []).map((one) => one[field]))).toBe(content[field]);
          for (const statement of whole.statements ?? []) {
            const section = content.sections?.find(
              (one) => one.account === statement.account.accountId,
            );
            const lines = content.lines.filter((line) => line.section === section?.account);
            const kept = statement.content.lines.map((line) => ({
              ...line,
              section: section?.account ?? "",
            }));
            expect(
              compareContents(
                { ...statement.content, lines: kept },
                { lines, subtotal: "", tax: "", total: "", ...section },
              ),
            ).toEqual([]);
            expect(sumOf(statement.content.taxes.map((tax) => tax.tax))).toBe(
              statement.content.tax,
            );
          }
          // The same charges on one account of the payer come to the same: nobody gains or loses by being a section.
          const together = draftOf(
            "parent",
            [...own, ...children.flat()],
            danish(percent, includes),
          );
          expect([content.subtotal, content.tax, content.total]).toEqual([
            together.content.subtotal,
            together.content.tax,
            together.content.total,
          ]);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("statements are numbered below the invoice, in the order of the sections", () => {
    const whole = aFamily(["1.00"], [["2.00"], [], ["3.00"]], danish());
    const issued = finalize(
      whole,
      { invoiceId: "inv_1", kind: "invoice", series: seriesFor("main", "invoice"), n: 7n },
      instant("2025-02-04T00:00:00Z"),
    );
    expect(issued.content.sections?.map((one) => [one.slug, one.statement])).toEqual([
      ["parent", null],
      ["child-1", "INV-000007.1"],
      ["child-3", "INV-000007.2"],
    ]);
    const second = finalizeStatement(issued, 1, "stm_2");
    expect([second.number, second.content.paid_by?.invoice, second.content.total]).toEqual([
      "INV-000007.2",
      "INV-000007",
      "3.00",
    ]);
  });
});
