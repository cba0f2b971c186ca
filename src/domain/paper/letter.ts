import { asPrinted } from "./as-printed.ts";
import { dayText, moneyText } from "./locale.ts";
import type { Paper } from "./paper.ts";
import { sumTitleOf, titleOf, wordingOf } from "./wording.ts";

/** The mail that carries a document. */
export type Letter = {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly fileName: string;
};

/** Write the covering mail in the document's own language, under the issuer's own name. */
export function letterFor(document: Paper): Letter {
  const paper = asPrinted(document);
  const { language: lang } = paper;
  const words = wordingOf(lang);
  const title = `${titleOf(words, paper.kind)} ${paper.number}`;
  const amount = moneyText(lang, paper.totals.due);
  const facts: [string, string][] = [
    [words.period, `${dayText(lang, paper.periodFrom)} – ${dayText(lang, paper.periodTo)}`],
    [sumTitleOf(words, paper.kind), amount],
    ...(paper.dueOn ? [[words.due, dayText(lang, paper.dueOn)] as [string, string]] : []),
    ...(paper.purchaseOrder
      ? [[words.purchaseOrder, paper.purchaseOrder] as [string, string]]
      : []),
  ];
  return {
    subject: `${paper.brand.name}: ${title}, ${amount}`,
    text: [
      title,
      "",
      ...facts.map(([label, value]) => `${label}: ${value}`),
      "",
      paper.brand.footer,
      "",
    ].join("\n"),
    html: htmlOf(paper, title, facts),
    fileName: `${fileSafe(paper.number)}.pdf`,
  };
}

function htmlOf(paper: Paper, title: string, facts: readonly [string, string][]): string {
  const rows = facts
    .map(
      ([label, value]) =>
        `<tr><td style="padding:4px 16px 4px 0;color:#5b636d">${escaped(label)}</td><td style="padding:4px 0;text-align:right">${escaped(value)}</td></tr>`,
    )
    .join("");
  return `<!doctype html><html lang="${paper.language}"><body style="font-family:sans-serif;color:#1a1d21"><h2 style="color:${escaped(paper.brand.color)}">${escaped(paper.brand.name)}</h2><p><strong>${escaped(title)}</strong></p><table style="border-collapse:collapse">${rows}</table><p style="color:#5b636d;font-size:12px">${escaped(paper.brand.footer)}</p></body></html>`;
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
/** Text made safe to stand in HTML. */
export const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (found) => escapes[found] as string);
/** A document number as part of a file name. */
export const fileSafe = (text: string): string => text.replaceAll(/[^A-Za-z0-9._-]+/g, "-");
