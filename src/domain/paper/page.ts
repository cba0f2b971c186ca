import { asPrinted } from "./as-printed.ts";
import { dayText, moneyText, percentText, quantityText, rateText } from "./locale.ts";
import { escaped } from "./letter.ts";
import type { Paper, PaperLine, Party } from "./paper.ts";
import { buyerTitleOf, sumTitleOf, titleOf, type Wording, wordingOf } from "./wording.ts";

/** A document as one HTML page that needs nothing else: readable on a phone, printable, no script. */
export function paperAsHtml(document: Paper): string {
  const paper = asPrinted(document);
  const { language: lang } = paper;
  const words = wordingOf(lang);
  const title = `${titleOf(words, paper.kind)} ${paper.number}`;
  const fact = (label: string, value: string) =>
    `<div><dt>${escaped(label)}</dt><dd>${escaped(value)}</dd></div>`;
  const facts = [
    fact(words.issued, dayText(lang, paper.issuedOn)),
    ...(paper.dueOn ? [fact(words.due, dayText(lang, paper.dueOn))] : []),
    fact(words.period, `${dayText(lang, paper.periodFrom)} – ${dayText(lang, paper.periodTo)}`),
    ...(paper.purchaseOrder ? [fact(words.purchaseOrder, paper.purchaseOrder)] : []),
  ].join("");
  const corrects = paper.corrects
    ? `<p><strong>${escaped(words.corrects(paper.corrects.number, dayText(lang, paper.corrects.issuedOn)))}</strong></p>`
    : "";
  return `<!doctype html>
<html lang="${lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escaped(title)}</title><style>${style(paper.brand.color)}</style></head>
<body><main>
<header><strong class="brand">${escaped(paper.brand.name)}</strong><h1>${escaped(title)}</h1></header>
<section class="parties">${partyHtml(words.from, paper.seller, words)}${partyHtml(buyerTitleOf(words, paper.kind), paper.buyer, words)}<dl>${facts}</dl></section>
${corrects}
<table><thead><tr><th>${escaped(words.item)}</th><th class="n">${escaped(words.quantity)}</th><th class="n">${escaped(words.rate)}</th><th class="n">${escaped(words.amount)}</th></tr></thead>
<tbody>${linesHtml(paper, words)}</tbody></table>
<table class="totals"><tbody>${totalsHtml(paper, words)}</tbody></table>
${[
  paper.paymentTerms,
  paper.payTo ? `${words.payTo}: ${paper.payTo.holder}, IBAN ${paper.payTo.iban}` : null,
  ...paper.notes,
]
  .filter((text) => text !== null)
  .map((text) => `<p class="small">${escaped(text)}</p>`)
  .join("")}
<footer class="small">${escaped(paper.brand.footer)}</footer>
</main></body></html>
`;
}

function linesHtml(paper: Paper, words: Wording): string {
  return paper.lines
    .map((line, i) => {
      const starts = line.section && line.section !== paper.lines[i - 1]?.section;
      const heading = starts
        ? `<tr><th colspan="4" class="section">${escaped(line.section ?? "")}</th></tr>`
        : "";
      const ends = line.section && line.section !== paper.lines[i + 1]?.section;
      const sum = ends && paper.sections.find((one) => one.name === line.section);
      const closing = sum
        ? `<tr class="strong"><td colspan="3">${escaped(words.sectionSum(sum.name))}</td><td class="n">${moneyText(paper.language, sum.net)}</td></tr>`
        : "";
      return heading + lineHtml(paper, line, words) + closing;
    })
    .join("\n");
}

function lineHtml({ language: lang }: Paper, line: PaperLine, words: Wording): string {
  const about = [
    line.sku,
    words.usageTypes[line.usageType],
    `${dayText(lang, line.from)} – ${dayText(lang, line.to)}`,
    line.note,
  ]
    .filter(Boolean)
    .join(" · ");
  const tiers = line.rate === null ? line.segments : [];
  const rows = tiers
    .map(
      (part) =>
        `<tr class="tier"><td>${escaped(part.because)}</td><td class="n">${quantityText(lang, part.quantity)}</td><td class="n">${rateText(lang, part.rate)}</td><td class="n">${rateText(lang, part.amount)}</td></tr>`,
    )
    .join("");
  return `<tr><td>${escaped(line.name)}<br><span class="small">${escaped(about)}</span></td><td class="n">${quantityText(lang, line.quantity)} ${escaped(line.unit)}</td><td class="n">${line.rate ? rateText(lang, line.rate) : ""}</td><td class="n">${moneyText(lang, line.net)}</td></tr>${rows}`;
}

function totalsHtml(paper: Paper, words: Wording): string {
  const { language: lang, totals } = paper;
  const row = (label: string, value: string, strong = false) =>
    `<tr${strong ? ' class="strong"' : ""}><td>${escaped(label)}</td><td class="n">${value}</td></tr>`;
  return [
    row(words.subtotal, moneyText(lang, totals.lines)),
    ...(totals.allowances.minor === 0n
      ? []
      : [
          row(
            words.allowances,
            moneyText(lang, { ...totals.allowances, minor: -totals.allowances.minor }),
          ),
        ]),
    ...paper.taxes.map((tax) =>
      row(
        tax.reason
          ? (words.reasons[tax.reason] ?? tax.reason)
          : words.taxOn(tax.name, percentText(lang, tax.percent), moneyText(lang, tax.taxable)),
        moneyText(lang, tax.tax),
      ),
    ),
    row(words.total, moneyText(lang, totals.gross), true),
    ...(totals.prepaid.minor === 0n
      ? []
      : [
          row(
            prepaidTitle(paper, words),
            moneyText(lang, { ...totals.prepaid, minor: -totals.prepaid.minor }),
          ),
        ]),
    row(sumTitleOf(words, paper.kind), moneyText(lang, totals.due), true),
  ].join("");
}

const prepaidTitle = (paper: Paper, words: Wording): string =>
  paper.paidBy ? words.paidBy(paper.paidBy.name, paper.paidBy.invoice) : words.prepaid;

function partyHtml(label: string, party: Party, words: Wording): string {
  const rows = [
    party.name,
    party.street,
    `${party.postcode} ${party.city}`.trim(),
    party.country,
    party.vatId ? `${words.vatId} ${party.vatId}` : "",
  ].filter(Boolean);
  return `<address><span class="small">${escaped(label)}</span><br>${rows.map(escaped).join("<br>")}</address>`;
}

const style = (color: string): string => `
body{font:15px/1.45 system-ui,sans-serif;color:#1a1d21;background:#fff;margin:0;border-top:6px solid ${color}}
main{max-width:52rem;margin:0 auto;padding:2rem 1rem}header{display:flex;justify-content:space-between;flex-wrap:wrap;gap:.5rem}
h1{font-size:1.3rem;margin:0}.brand{color:${color};font-size:1.2rem}.parties{display:flex;flex-wrap:wrap;gap:2rem;margin:1.5rem 0}
address{font-style:normal}dl{margin:0}dl div{display:flex;gap:1rem;justify-content:space-between}dd{margin:0}
.small,dt{color:#5b636d;font-size:.8rem}table{border-collapse:collapse;width:100%}th{text-align:left;font-size:.8rem;color:#5b636d;border-bottom:1px solid #1a1d21;padding:.3rem .4rem}
td{padding:.45rem .4rem;border-bottom:1px solid #e4e8ec;vertical-align:top}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.tier td{border-bottom:0;color:#5b636d;font-size:.8rem;padding:.1rem .4rem .1rem 1.2rem}.section{color:#1a1d21;padding-top:1rem}
.totals{width:auto;margin:1rem 0 1rem auto}.totals td{border:0}.strong td{font-weight:700;border-top:1px solid #1a1d21}
@media (max-width:36rem){td:nth-child(3),th:nth-child(3){display:none}}
@media print{main{padding:0}}`;
