import { describe, expect, test } from "vitest";
import { type SampleLine, samplePaper } from "../../test/samples/papers.ts";
import { brokenRules, paperAsUbl, ublTree } from "../domain/paper/index.ts";
import { writeUbl } from "./ubl.ts";

const mixes: Record<string, readonly SampleLine[]> = {
  "the standard rate": [{ name: "SMS", quantity: "250", rate: "0.06" }],
  "two rates and tiers": [
    { name: "Calls", quantity: "150000", rate: null, net: "112.00" },
    { name: "Books", quantity: "3", rate: "9.99", percent: "7" },
  ],
  "a rate of many digits": [{ name: "Tokens", quantity: "2500", rate: "0.0015" }],
  "a credit among charges": [
    { name: "SMS", quantity: "250", rate: "0.06" },
    { name: "Usage of 2024-12", quantity: "-100", rate: "0.06" },
  ],
  "zero rated": [{ name: "SMS", quantity: "250", rate: "0.06", category: "Z" }],
  exempt: [{ name: "SMS", quantity: "250", rate: "0.06", category: "E" }],
  "reverse charge": [{ name: "SMS", quantity: "250", rate: "0.06", category: "AE" }],
  "out of scope": [{ name: "SMS", quantity: "250", rate: "0.06", category: "O" }],
};

describe("a document as UBL", () => {
  for (const code of ["EUR", "DKK", "JPY"]) {
    for (const kind of ["invoice", "credit_note"] as const) {
      test.each(Object.entries(mixes))(
        `${kind} in ${code} with %s keeps the arithmetic rules`,
        async (_, lines) => {
          const paper = samplePaper({
            currency: code,
            kind,
            lines:
              code === "JPY"
                ? lines.map((line) =>
                    line.rate ? { ...line, quantity: `${line.quantity}00` } : line,
                  )
                : lines,
          });
          expect(brokenRules(ublTree(paperAsUbl(paper)))).toEqual([]);
          const xml = await writeUbl(paper);
          expect(xml).toContain(kind === "invoice" ? "<Invoice" : "<CreditNote");
          expect(xml).toContain(paper.number);
        },
      );
    }
  }

  test("a cent that was changed is found", () => {
    const tree = ublTree(paperAsUbl(samplePaper({})));
    const wrong = {
      ...tree,
      LegalMonetaryTotal: {
        ...(tree["LegalMonetaryTotal"] as object),
        TaxInclusiveAmount: "18.76@EUR",
      },
    };
    expect(brokenRules(wrong).map((one) => one.rule)).toEqual(["BR-CO-15", "BR-CO-16"]);
  });

  test("a currency of three decimals is refused, naming the rule", async () => {
    await expect(writeUbl(samplePaper({ currency: "KWD" }))).rejects.toThrow(
      /KWD has 3 decimals and EN 16931 allows two \(BR-DEC\)/,
    );
  });
});
