import {
  asPrinted,
  buyerTitleOf,
  dayText,
  type Language,
  moneyText,
  type Paper,
  type PaperLine,
  type Party,
  percentText,
  quantityText,
  rateText,
  sumTitleOf,
  titleOf,
  type Wording,
  wordingOf,
} from "../../domain/paper/index.ts";
import {
  bottom,
  contentWidth,
  grey,
  ink,
  line,
  margin,
  openDocument,
  type Page,
  pageWidth,
  write,
} from "./page.ts";
import { type Column, type TableRow, table } from "./table.ts";

export type Attachment = {
  readonly name: string;
  readonly content: Uint8Array;
  readonly mime: string;
  readonly description: string;
};

/** Draw a document as PDF/A-3b; the electronic invoice, when given, travels inside it as the alternative form. */
export function renderPdf(document: Paper, attachment?: Attachment): Promise<Uint8Array> {
  const paper = asPrinted(document);
  const words = wordingOf(paper.language);
  const title = `${titleOf(words, paper.kind)} ${paper.number}`;
  const page = openDocument(paper, title);
  const chunks: Uint8Array[] = [];
  const finished = new Promise<Uint8Array>((resolve, reject) => {
    page.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    page.on("end", () => resolve(Buffer.concat(chunks)));
    page.on("error", reject);
  });

  const startPage = () => {
    page.addPage();
    return runningHead(page, paper, title, words);
  };
  let y = firstHead(page, paper, words);
  y = table(page, y, lineColumns(words), lineRows(paper, words), startPage);
  y = totals(page, y, paper, words, startPage);
  closing(page, y, paper, words, startPage);
  if (paper.annex.length > 0) annex(page, paper, words, startPage);
  footers(page, paper, words);
  if (attachment) {
    const { name, content, mime, description } = attachment;
    const created = new Date(`${paper.issuedOn}T00:00:00Z`);
    page.file(Buffer.from(content), {
      name,
      type: mime,
      description,
      relationship: "Alternative",
      creationDate: created,
      modifiedDate: created,
    } as never);
  }
  page.end();
  return finished;
}

function firstHead(page: Page, paper: Paper, words: Wording): number {
  const { language: lang } = paper;
  page.rect(0, 0, pageWidth, 6).fill(paper.brand.color);
  write(page, paper.brand.name, margin.left, 40, 260, {
    size: 15,
    bold: true,
    color: paper.brand.color,
  });
  write(page, titleOf(words, paper.kind), 300, 40, 245, {
    size: 15,
    bold: true,
    align: "right",
  });

  const left = address(page, margin.left, 84, words.from, paper.seller, words);
  const middle = address(
    page,
    margin.left + 175,
    84,
    buyerTitleOf(words, paper.kind),
    paper.buyer,
    words,
  );
  const facts: [string, string][] = [
    [words.number, paper.number],
    [words.issued, dayText(lang, paper.issuedOn)],
    ...(paper.dueOn ? [[words.due, dayText(lang, paper.dueOn)] as [string, string]] : []),
    [words.period, `${dayText(lang, paper.periodFrom)} – ${dayText(lang, paper.periodTo)}`],
    ...(paper.purchaseOrder
      ? [[words.purchaseOrder, paper.purchaseOrder] as [string, string]]
      : []),
    ...(paper.buyerReference ? [[words.reference, paper.buyerReference] as [string, string]] : []),
  ];
  let y = 84;
  for (const [label, value] of facts) {
    write(page, label, 400, y, 145, { size: 7, color: grey });
    y +=
      9.5 + write(page, value, 400, y + 9.5, 145, { size: 8.5, bold: label === words.number }) + 3;
  }
  y = Math.max(left, middle, y) + 14;
  if (paper.corrects) {
    y +=
      write(
        page,
        words.corrects(paper.corrects.number, dayText(lang, paper.corrects.issuedOn)),
        margin.left,
        y,
        contentWidth,
        { bold: true },
      ) + 12;
  }

  const amount = sumTitleOf(words, paper.kind);
  page.roundedRect(margin.left, y, contentWidth, 34, 4).fill("#f4f6f8");
  write(page, amount, margin.left + 12, y + 12, 220, { size: 9, color: grey });
  write(page, moneyText(lang, paper.totals.due), margin.left + 200, y + 8, contentWidth - 212, {
    size: 14,
    bold: true,
    align: "right",
  });
  return y + 54;
}

function runningHead(page: Page, paper: Paper, title: string, words: Wording): number {
  write(page, paper.brand.name, margin.left, 30, 260, {
    size: 8,
    bold: true,
    color: paper.brand.color,
  });
  write(page, `${title} · ${words.continued}`, 300, 30, 245, {
    size: 8,
    color: grey,
    align: "right",
  });
  return margin.top;
}

function address(
  page: Page,
  x: number,
  y: number,
  label: string,
  party: Party,
  words: Wording,
): number {
  write(page, label, x, y, 165, { size: 7, color: grey });
  let at = y + 10;
  at += write(page, party.name, x, at, 165, { bold: true }) + 1;
  const rows = [
    party.street,
    `${party.postcode} ${party.city}`.trim(),
    [party.region, party.country].filter(Boolean).join(", "),
    ...(party.vatId ? [`${words.vatId} ${party.vatId}`] : []),
    ...(party.registration ? [party.registration] : []),
  ];
  for (const row of rows.filter(Boolean)) at += write(page, row, x, at, 165, { size: 8 }) + 0.5;
  return at;
}

function lineColumns(words: Wording): Column[] {
  return [
    { title: words.item, width: 232, align: "left" },
    { title: words.quantity, width: 92, align: "right" },
    { title: words.rate, width: 72, align: "right" },
    { title: words.amount, width: 75, align: "right" },
  ];
}

function lineRows(paper: Paper, words: Wording): TableRow[] {
  const rows: TableRow[] = [];
  paper.lines.forEach((one, i) => {
    if (one.section && one.section !== paper.lines[i - 1]?.section)
      rows.push({ cells: [one.section], kind: "heading" });
    rows.push(lineRow(paper.language, one, words));
    const ends = one.section && one.section !== paper.lines[i + 1]?.section;
    const sum = ends && paper.sections.find((part) => part.name === one.section);
    if (sum)
      rows.push({
        cells: [words.sectionSum(sum.name), "", "", moneyText(paper.language, sum.net)],
        kind: "sum",
      });
  });
  return rows;
}

function lineRow(lang: Language, one: PaperLine, words: Wording): TableRow {
  const about = [
    one.sku,
    words.usageTypes[one.usageType],
    `${dayText(lang, one.from)} – ${dayText(lang, one.to)}`,
    one.note,
  ]
    .filter(Boolean)
    .join(" · ");
  const tiers =
    one.rate === null
      ? one.segments.map((part) => [
          part.because,
          quantityText(lang, part.quantity),
          rateText(lang, part.rate),
          rateText(lang, part.amount),
        ])
      : [];
  return {
    cells: [
      one.name,
      `${quantityText(lang, one.quantity)} ${one.unit}`,
      one.rate ? rateText(lang, one.rate) : "",
      moneyText(lang, one.net),
    ],
    details: [[about, "", "", ""], ...tiers],
  };
}

function totals(
  page: Page,
  top: number,
  paper: Paper,
  words: Wording,
  startPage: () => number,
): number {
  const { language: lang, totals: sums } = paper;
  const rows: { label: string; value: string; strong?: boolean }[] = [
    { label: words.subtotal, value: moneyText(lang, sums.lines) },
    ...(sums.allowances.minor !== 0n
      ? [
          { label: words.allowances, value: `−${moneyText(lang, sums.allowances)}` },
          { label: words.net, value: moneyText(lang, sums.net) },
        ]
      : []),
    ...paper.taxes.map((tax) => ({
      label: tax.reason
        ? reasonText(words, tax.reason)
        : words.taxOn(tax.name, percentText(lang, tax.percent), moneyText(lang, tax.taxable)),
      value: moneyText(lang, tax.tax),
    })),
    { label: words.total, value: moneyText(lang, sums.gross), strong: true },
    ...(sums.prepaid.minor !== 0n
      ? [
          {
            label: paper.paidBy
              ? words.paidBy(paper.paidBy.name, paper.paidBy.invoice)
              : words.prepaid,
            value: moneyText(lang, { ...sums.prepaid, minor: -sums.prepaid.minor }),
          },
        ]
      : []),
    {
      label: sumTitleOf(words, paper.kind),
      value: moneyText(lang, sums.due),
      strong: true,
    },
  ];
  let y = top + 8;
  if (y + rows.length * 16 + 10 > bottom) y = startPage();
  for (const row of rows) {
    if (row.strong) line(page, y - 2, ink, 0.6, 230);
    const style = {
      bold: row.strong ?? false,
      size: row.strong ? 9.5 : 8.5,
      color: row.strong ? ink : grey,
    };
    const height = write(page, row.label, 230, y + 2, 225, style);
    write(page, row.value, 460, y + 2, 85, { ...style, color: ink, align: "right" });
    y += Math.max(height, 12) + 5;
  }
  return y + 6;
}

const reasonText = (words: Wording, reason: string): string => words.reasons[reason] ?? reason;

function closing(
  page: Page,
  top: number,
  paper: Paper,
  words: Wording,
  startPage: () => number,
): void {
  const { language: lang } = paper;
  const texts = [
    ...(paper.accounting
      ? [
          words.taxInAccounting(
            moneyText(lang, paper.accounting.tax),
            rateText(lang, paper.accounting.rate),
            dayText(lang, paper.accounting.on),
          ),
        ]
      : []),
    ...(paper.paymentTerms ? [paper.paymentTerms] : []),
    ...(paper.payTo
      ? [
          `${words.payTo}: ${paper.payTo.holder}, IBAN ${paper.payTo.iban}${paper.payTo.bic ? `, BIC ${paper.payTo.bic}` : ""}`,
        ]
      : []),
    ...paper.notes,
  ];
  let y = top;
  for (const text of texts) {
    if (y + 30 > bottom) y = startPage();
    y += write(page, text, margin.left, y, contentWidth, { size: 8, color: grey }) + 4;
  }
}

function annex(page: Page, paper: Paper, words: Wording, startPage: () => number): void {
  const { language: lang } = paper;
  let y = startPage();
  y += write(page, words.annex, margin.left, y, contentWidth, { size: 12, bold: true }) + 10;
  const columns: Column[] = [
    { title: words.day, width: 80, align: "left" },
    { title: words.project, width: 140, align: "left" },
    { title: words.meter, width: 140, align: "left" },
    { title: words.quantity, width: 110, align: "right" },
  ];
  const rows = paper.annex.map((row) => ({
    cells: [
      dayText(lang, row.day),
      row.project,
      row.meter,
      `${quantityText(lang, row.quantity)} ${row.unit}`,
    ],
  }));
  table(page, y, columns, rows, startPage);
}

function footers(page: Page, paper: Paper, words: Wording): void {
  const { count } = page.bufferedPageRange();
  for (let index = 0; index < count; index++) {
    page.switchToPage(index);
    line(page, bottom + 18);
    write(page, paper.brand.footer, margin.left, bottom + 24, 380, { size: 7, color: grey });
    write(page, words.page(index + 1, count), 440, bottom + 24, 105, {
      size: 7,
      color: grey,
      align: "right",
    });
  }
}
