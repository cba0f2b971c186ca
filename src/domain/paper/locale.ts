import { type Decimal, formatDecimal } from "../../kit/decimal.ts";
import { formatMoney, type Money } from "../../kit/money.ts";
import type { Day } from "../../kit/time.ts";

export type Language = "en" | "de";

const shapes: Record<Language, { readonly decimal: string; readonly group: string }> = {
  en: { decimal: ".", group: "," },
  de: { decimal: ",", group: "." },
};

const symbols: Readonly<Record<string, string>> = {
  EUR: "€",
  USD: "$",
  GBP: "£",
  JPY: "¥",
  INR: "₹",
};

/** A plain decimal as the reader writes numbers: "1,234.5" or "1.234,5". Digits are never lost or added. */
export function numberText(language: Language, plain: string): string {
  const { decimal, group } = shapes[language];
  const [whole = "0", fraction] = plain.replace("-", "").split(".");
  const grouped = whole.replaceAll(/\B(?=(\d{3})+$)/g, group);
  return `${plain.startsWith("-") ? "−" : ""}${grouped}${fraction ? decimal + fraction : ""}`;
}

export const quantityText = (language: Language, quantity: Decimal): string =>
  numberText(language, formatDecimal(quantity));

/** A rate per unit: at least the currency's usual two digits, and every digit it has. */
export function rateText(language: Language, rate: Decimal): string {
  const plain = formatDecimal(rate);
  const digits = plain.split(".")[1]?.length ?? 0;
  return numberText(language, digits < 2 ? rate.toFixed(2) : plain);
}

/** "$1,234.56" in English, "1.234,56 €" in German; currencies without a symbol of their own are named by code. */
export function moneyText(language: Language, amount: Money): string {
  const number = numberText(language, formatMoney(amount));
  const symbol = symbols[amount.currency];
  if (language === "de") return `${number}\u00a0${symbol ?? amount.currency}`;
  if (!symbol) return `${amount.currency}\u00a0${number}`;
  return number.startsWith("−") ? `−${symbol}${number.slice(1)}` : `${symbol}${number}`;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "1 Feb 2025" in English, which no reader takes for the second of January; "01.02.2025" in German. */
export function dayText(language: Language, on: Day): string {
  const [year = "", month = "", dayOfMonth = ""] = on.split("-");
  return language === "de"
    ? `${dayOfMonth}.${month}.${year}`
    : `${Number(dayOfMonth)} ${months[Number(month) - 1]} ${year}`;
}

export const percentText = (language: Language, percent: Decimal): string =>
  language === "de"
    ? `${quantityText(language, percent)}\u00a0%`
    : `${quantityText(language, percent)}%`;
