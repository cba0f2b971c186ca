import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { samplePaper } from "../../../test/samples/papers.ts";
import { moneyText, type Paper } from "../../domain/paper/index.ts";
import { renderPdf } from "./render.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "paper-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function textOf(paper: Paper, name: string): Promise<string> {
  const file = join(folder, `${name}.pdf`);
  writeFileSync(file, await renderPdf(paper));
  return execFileSync("pdftotext", ["-layout", file, "-"], { encoding: "utf8" });
}

const many = Array.from({ length: 300 }, (_, i) => ({
  name: `Metered service number ${i + 1}`,
  quantity: String(1000 + i),
  rate: "0.015",
  section: i < 150 ? "Initech" : "Umbrella",
}));

describe.skipIf(!existsSync("/usr/bin/pdftotext"))("an invoice on paper, read back", () => {
  test("carries the totals of the document, in the reader's locale", async () => {
    const english = samplePaper({
      lines: [{ name: "SMS", quantity: "20577", rate: "0.06" }],
      prepaid: "40.00",
    });
    const text = await textOf(english, "english");
    for (const amount of [
      english.totals.lines,
      english.totals.tax,
      english.totals.gross,
      english.totals.due,
    ])
      expect(text).toContain(moneyText("en", amount));
    expect(text).toContain("4 Feb 2025");
    expect(text).toContain("PO-4471");

    const german = await textOf(
      samplePaper({ language: "de", lines: [{ name: "SMS", quantity: "20576", rate: "0.06" }] }),
      "german",
    );
    expect(german.replaceAll("\u00a0", " ")).toContain("1.234,56 €");
    expect(german).toContain("Rechnung");
    expect(german).toContain("04.02.2025");
    expect(german).toContain("Müller & Söhne Großhandel GmbH");
  });

  test("with 300 lines runs over pages, repeats its head, and keeps every line", async () => {
    const paper = samplePaper({ lines: many, annexDays: 60 });
    const text = await textOf(paper, "long");
    const pages = text.split("\f").filter((page) => page.trim() !== "");
    expect(pages.length).toBeGreaterThan(8);
    for (let i = 1; i <= 300; i++) expect(text).toContain(`Metered service number ${i}`);
    for (const [i, page] of pages.entries())
      expect(page).toContain(`Page ${i + 1} of ${pages.length}`);
    expect(pages.slice(1).every((page) => page.includes("continued"))).toBe(true);
    expect(text).toContain(moneyText("en", paper.totals.due));
  });

  test("a consolidated document sums each section, and a statement says who pays it", async () => {
    const paper = samplePaper({ lines: many });
    const text = await textOf(paper, "sections");
    expect(paper.sections.map((one) => one.name)).toEqual(["Initech", "Umbrella"]);
    for (const one of paper.sections)
      expect(text).toMatch(new RegExp(`Subtotal ${one.name} +${moneyText("en", one.net)}\n`));
    const statement = await textOf(
      {
        ...samplePaper({ language: "de", prepaid: "18.75" }),
        kind: "statement",
        dueOn: null,
        paidBy: { name: "Globex", invoice: "INV-000042" },
      },
      "statement",
    );
    expect(statement).toContain("Aufstellung");
    expect(statement).toContain("Zahlt Globex, Rechnung INV-000042");
    expect(statement.replaceAll("\u00a0", " ")).toMatch(/Zahlbetrag +0,00 €/);
  });

  test("reverse charge and credit notes say what they are", async () => {
    const reverse = await textOf(
      samplePaper({
        language: "de",
        lines: [{ name: "SMS", quantity: "10", rate: "1", category: "AE" }],
      }),
      "reverse",
    );
    expect(reverse).toContain("Steuerschuldnerschaft des Leistungsempfängers");
    const credit = await textOf(samplePaper({ kind: "credit_note" }), "credit");
    expect(credit).toContain("Corrects invoice 2025-000040 of 1 Feb 2025");
  });
});

describe("the file", () => {
  test("is the same to the byte for the same paper, is marked PDF/A-3b and carries the electronic invoice", async () => {
    const attachment = {
      name: "invoice.xml",
      content: Buffer.from("<Invoice/>"),
      mime: "text/xml",
      description: "Electronic invoice",
    };
    const [first, second] = await Promise.all([
      renderPdf(samplePaper({}), attachment),
      renderPdf(samplePaper({}), attachment),
    ]);
    expect(Buffer.from(first).equals(Buffer.from(second))).toBe(true);
    const raw = Buffer.from(first).toString("latin1");
    expect(raw).toMatch(/pdfaid:part>3</);
    expect(raw).toMatch(/pdfaid:conformance>B</);
    expect(raw).toContain("/AFRelationship /Alternative");
    expect(raw).toContain("/FontFile2");
  });
});
