import { createRequire } from "node:module";
import PDFDocument from "pdfkit";
import type { Paper } from "../../domain/paper/index.ts";

const font = createRequire(import.meta.url);
const regular = font.resolve("dejavu-fonts-ttf/ttf/DejaVuSans.ttf");
const bold = font.resolve("dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf");

export const ink = "#1a1d21";
export const grey = "#5b636d";
const rule = "#d5dae0";
export const margin = { left: 50, right: 50, top: 56, bottom: 70 } as const;
export const pageWidth = 595.28;
const pageHeight = 841.89;
export const contentWidth = pageWidth - margin.left - margin.right;
export const bottom = pageHeight - margin.bottom;

export type Page = InstanceType<typeof PDFDocument>;

/**
 * An A4 document marked as PDF/A-3b with its fonts embedded. Its dates are the document's own, so the same paper gives the
 * same bytes at any time.
 */
export function openDocument(paper: Paper, title: string): Page {
  const [year = 1970, month = 1, day = 1] = paper.issuedOn.split("-").map(Number);
  const issued = new Date(Date.UTC(year, month - 1, day));
  const document = new PDFDocument({
    size: "A4",
    margins: { top: margin.top, bottom: 0, left: margin.left, right: margin.right },
    bufferPages: true,
    subset: "PDF/A-3b",
    pdfVersion: "1.7",
    lang: paper.language,
    font: regular,
    info: {
      Title: title,
      Author: paper.brand.name,
      Subject: title,
      Creator: "Tallyline",
      Producer: "Tallyline",
      CreationDate: issued,
      ModDate: issued,
    },
  } as ConstructorParameters<typeof PDFDocument>[0]);
  document.registerFont("regular", regular);
  document.registerFont("bold", bold);
  return document;
}

type Style = {
  readonly size?: number;
  readonly color?: string;
  readonly bold?: boolean;
  readonly align?: "left" | "right" | "center";
};

/** Write one text at a place within a width, wrapping when it is too long; returns the height it took. */
export function write(
  page: Page,
  text: string,
  x: number,
  y: number,
  width: number,
  style: Style = {},
): number {
  const size = style.size ?? 8.5;
  page
    .font(style.bold ? "bold" : "regular")
    .fontSize(size)
    .fillColor(style.color ?? ink);
  const options = { width, align: style.align ?? "left", lineGap: 1.5 } as const;
  const height = page.heightOfString(text, options);
  page.text(text, x, y, options);
  return height;
}

/** The height a text would take, without writing it. */
export function heightOf(page: Page, text: string, width: number, style: Style = {}): number {
  page.font(style.bold ? "bold" : "regular").fontSize(style.size ?? 8.5);
  return page.heightOfString(text, { width, lineGap: 1.5 });
}

export function line(
  page: Page,
  y: number,
  color = rule,
  weight = 0.5,
  from: number = margin.left,
  to: number = pageWidth - margin.right,
): void {
  page.save().moveTo(from, y).lineTo(to, y).lineWidth(weight).strokeColor(color).stroke().restore();
}
