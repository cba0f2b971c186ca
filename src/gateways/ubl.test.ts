import { describe, expect, test } from "vitest";
import { type SampleLine, samplePaper } from "../../test/samples/papers.ts";
import { disorder, treeOf } from "../../test/samples/ubl-order.ts";
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
  "sections of a consolidated document": [
    { name: "Calls", quantity: "100", rate: "0.0133", section: "Initech" },
    {
      name: "Calls",
      quantity: "1100",
      rate: null,
      net: "14.00",
      section: "Umbrella & Söhne <GmbH>",
    },
  ],
  "standard, zero and exempt together": [
    { name: "SMS", quantity: "250", rate: "0.06" },
    { name: "Books", quantity: "3", rate: "9.00", category: "Z" },
    { name: "Courses", quantity: "2", rate: "50.00", category: "E" },
  ],
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
          // What was written, read again without our own names for it: in the order of UBL 2.1, and the rules hold in it.
          expect(disorder(xml)).toEqual([]);
          expect(brokenRules(treeOf(xml))).toEqual([]);
        },
      );
    }
  }

  test("what is out of order, unknown, doubled or empty is found", async () => {
    const xml = await writeUbl(samplePaper({}));
    const swapped = xml.replace(
      /(<cbc:IssueDate>.*?<\/cbc:IssueDate>)(\s*)(<cbc:DueDate>.*?<\/cbc:DueDate>)/s,
      "$3$2$1",
    );
    expect(swapped).not.toBe(xml);
    expect(disorder(swapped)).toEqual(["Invoice: IssueDate stands after DueDate"]);
    expect(
      disorder(xml.replace("<cbc:DueDate>", "<cbc:DueDate></cbc:DueDate><cbc:DueDate>")),
    ).toEqual(["Invoice/DueDate is empty", "Invoice: DueDate twice"]);
    expect(disorder(xml.replaceAll("cbc:DueDate", "cbc:PayDate"))).toEqual([
      "Invoice has no PayDate",
    ]);
  });

  test("a statement is not an electronic invoice: it asks for nothing", async () => {
    const statement = {
      ...samplePaper({}),
      kind: "statement" as const,
      paidBy: { name: "Globex", invoice: "INV-000042" },
    };
    await expect(writeUbl(statement)).rejects.toThrow(/INV-000042 asks for its money/);
  });

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
