import type { ContentLine, IssuedContent } from "../domain/invoicing/index.ts";
import { dayText, moneyText, quantityText, rateText } from "../domain/paper/index.ts";
import { type Currency, currency } from "../kit/currency.ts";
import { decimal } from "../kit/decimal.ts";
import { parseMoney } from "../kit/money.ts";
import { dayAt, type Instant, instant } from "../kit/time.ts";

const width = 78;
const rule = "─".repeat(width);

/** An invoice for a terminal of 80 columns: lines with their tiers below them, sums to the right. */
export function invoiceText(content: IssuedContent): string {
  const code = currency(content.currency);
  const zone = content.account.time_zone;
  const period = `${dayText("en", dayAt(instant(content.period.starts_at), zone))} – ${dayText("en", lastDay(content.period.ends_at, zone))}`;
  const sum = (label: string, amount: string) =>
    right(label, moneyText("en", parseMoney(amount, code)));
  return [
    spread(`Invoice ${content.number}`, String(content.parties.issuer["name"])),
    spread(`${content.account.name}`, period),
    spread(`issued ${dayText("en", content.issued_on)}`, `due ${dayText("en", content.due_on)}`),
    rule,
    `${"Item".padEnd(40)}${"Quantity".padStart(14)}${"Rate".padStart(11)}${"Amount".padStart(13)}`,
    rule,
    ...content.lines.flatMap((line) => lineText(line, code)),
    rule,
    sum("Subtotal", content.subtotal),
    ...content.taxes.map((tax) => sum(tax.reason ?? `${tax.name} ${tax.percent}%`, tax.tax)),
    sum("Total", content.total),
  ].join("\n");
}

function lineText(line: ContentLine, code: Currency): string[] {
  // One segment at the metered quantity is the line itself; a converted unit (per 1,000) and tiers are rows of their own.
  const [first] = line.segments;
  const only = line.segments.length === 1 && first?.quantity === line.quantity ? first : undefined;
  const rate = only ? rateText("en", decimal(only.unit_amount)) : "";
  const name = `${line.line_no}  ${line.description}`;
  const head = `${cut(name, 39).padEnd(40)}${quantityText("en", decimal(line.quantity)).padStart(14)}${cut(rate, 10).padStart(11)}${moneyText("en", parseMoney(line.amount, code)).padStart(13)}`;
  const about = `   ${line.sku} · ${line.usage_type}${line.unit ? ` · ${line.unit}` : ""}`;
  const tiers = only
    ? []
    : line.segments.map(
        (part) =>
          `   ${cut(part.because, 36).padEnd(37)}${quantityText("en", decimal(part.quantity)).padStart(14)}${cut(rateText("en", decimal(part.unit_amount)), 10).padStart(11)}${cut(quantityText("en", decimal(part.amount)), 12).padStart(13)}`,
      );
  return [head, about, ...tiers];
}

/** What a line is made of, down to its first events. */
export function explanationText(
  line: ContentLine,
  events: readonly { readonly time: Instant; readonly id: string; readonly quantity: string }[],
  eventCount: string,
): string {
  return [
    `Line ${line.line_no}, ${line.description}, explained`,
    ...line.segments.map(
      (part) => `  ${part.quantity} × ${part.unit_amount} = ${part.amount}   ${part.because}`,
    ),
    `  exactly ${line.unrounded}, rounded once to ${line.amount}`,
    ...(events.length === 0
      ? []
      : [`  from ${Number(eventCount).toLocaleString("en")} events, the first of them:`]),
    ...events.map(
      (event) =>
        `    ${dayText("en", dayAt(event.time, "UTC")).padEnd(12)} ${event.id.padEnd(16)} ${event.quantity.padStart(8)}`,
    ),
  ].join("\n");
}

const lastDay = (endsAt: string, zone: string) => dayAt((instant(endsAt) - 1) as Instant, zone);
const spread = (left: string, right_: string): string =>
  `${left}${" ".repeat(Math.max(1, width - left.length - right_.length))}${right_}`;
const right = (label: string, value: string): string =>
  `${label.padStart(width - 16)}${value.padStart(16)}`;
const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;
