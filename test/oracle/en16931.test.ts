import { expect } from "vitest";
import { brokenRules, keepsRule, type RuleId, type UblTree } from "../../src/domain/paper/index.ts";
import { oracle } from "./cases.ts";

oracle<{ rule: RuleId; documents: UblTree[] }, { verdicts: string[] }>(
  "en16931_rule_verdicts",
  ({ input, expected }) => {
    expect(
      input.documents.map((one) => (keepsRule(input.rule, one, "validator") ? "pass" : "fail")),
    ).toEqual(expected.verdicts);
  },
);

type QuirkLine = {
  id: string;
  qty: string;
  price: string;
  baseQty: string | null;
  net: string;
  ac: { charge: string; amount: string }[];
};

// Official samples whose lines do not multiply out: the plain rules let them pass, Peppol's R120 must not.
oracle<{ lines: QuirkLine[] }, { recomputed_problems: string[] }>(
  "en16931_document_quirk",
  ({ input, expected }) => {
    const document: UblTree = {
      InvoiceLine: input.lines.map((line) => ({
        ID: line.id,
        InvoicedQuantity: line.qty,
        LineExtensionAmount: line.net,
        Price: { PriceAmount: line.price, ...(line.baseQty ? { BaseQuantity: line.baseQty } : {}) },
        AllowanceCharge: line.ac.map((one) => ({
          ChargeIndicator: one.charge,
          Amount: one.amount,
        })),
      })),
    };
    const found = brokenRules(document).filter((one) => one.rule === "PEPPOL-EN16931-R120");
    const named = expected.recomputed_problems.filter((problem) => problem.startsWith("line"));
    expect(found.map((one) => /line (\S+):/.exec(one.detail)?.[1])).toEqual(
      named.map((problem) => problem.split(" ")[1]),
    );
  },
);
