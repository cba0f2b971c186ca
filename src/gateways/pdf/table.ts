import { bottom, grey, heightOf, ink, line, margin, type Page, write } from "./page.ts";

export type Column = {
  readonly title: string;
  readonly width: number;
  readonly align: "left" | "right";
};

/** One row: a main text per column, and small grey lines under the first columns. */
export type TableRow = {
  readonly cells: readonly string[];
  readonly details?: readonly (readonly string[])[];
  /** A heading across the table, the name of a section; or what the section comes to. */
  readonly kind?: "heading" | "sum";
};

const gap = 8;
const size = { cell: 8.5, detail: 7, title: 7.5 } as const;

/** A table that runs over as many pages as it needs; its head stands on each of them. Returns where it ends. */
export function table(
  page: Page,
  top: number,
  columns: readonly Column[],
  rows: readonly TableRow[],
  startPage: () => number,
): number {
  let y = head(page, top, columns);
  for (const row of rows) {
    const height = rowHeight(page, columns, row);
    if (y + height > bottom) y = head(page, startPage(), columns);
    y = row.kind === "heading" ? heading(page, y, row.cells[0] ?? "") : body(page, y, columns, row);
  }
  return y;
}

function head(page: Page, y: number, columns: readonly Column[]): number {
  place(columns, (column, x) =>
    write(page, column.title, x, y, column.width, {
      size: size.title,
      color: grey,
      bold: true,
      align: column.align,
    }),
  );
  line(page, y + 13, ink, 0.8);
  return y + 19;
}

function heading(page: Page, y: number, text: string): number {
  write(page, text, margin.left, y + 4, 400, { bold: true, size: 9 });
  return y + 20;
}

function body(page: Page, y: number, columns: readonly Column[], row: TableRow): number {
  let height = 0;
  place(columns, (column, x, i) => {
    height = Math.max(
      height,
      write(page, row.cells[i] ?? "", x, y, column.width, {
        size: size.cell,
        align: column.align,
        bold: row.kind === "sum",
      }),
    );
  });
  let at = y + height + 1;
  for (const detail of row.details ?? []) {
    let tall = 0;
    place(columns, (column, x, i) => {
      if (detail[i])
        tall = Math.max(
          tall,
          write(page, detail[i], x, at, column.width, {
            size: size.detail,
            color: grey,
            align: column.align,
          }),
        );
    });
    at += tall + 0.5;
  }
  line(page, at + 3);
  return at + 8;
}

function rowHeight(page: Page, columns: readonly Column[], row: TableRow): number {
  // A heading does not stand alone at the foot of a page.
  if (row.kind === "heading") return 60;
  const tallest = (cells: readonly string[], fontSize: number) =>
    Math.max(
      ...columns.map((column, i) =>
        cells[i] ? heightOf(page, cells[i], column.width, { size: fontSize }) : 0,
      ),
    );
  return (
    tallest(row.cells, size.cell) +
    (row.details ?? []).reduce((sum, detail) => sum + tallest(detail, size.detail) + 0.5, 0) +
    12
  );
}

function place(
  columns: readonly Column[],
  draw: (column: Column, x: number, index: number) => void,
): void {
  let x: number = margin.left;
  for (const [index, column] of columns.entries()) {
    draw(column, x, index);
    x += column.width + gap;
  }
}
