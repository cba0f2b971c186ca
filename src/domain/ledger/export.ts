import { currency, minorDigits } from "../../kit/currency.ts";
import { formatDecimal } from "../../kit/decimal.ts";
import { formatMoney } from "../../kit/money.ts";
import { dayAt, formatInstant } from "../../kit/time.ts";
import type { Address } from "./chart.ts";
import { type Amount, commodityOf, type LedgerTransaction } from "./transaction.ts";

export const exportFormats = ["hledger", "ledger", "beancount", "json"] as const;
export type ExportFormat = (typeof exportFormats)[number];

/**
 * The books as text that the plain-text accounting programs read. Days are UTC. Transactions come in the order of their
 * time; the exact instant and our id go along as tags, so that nothing is lost on the way out.
 */
export function exportBooks(
  transactions: readonly LedgerTransaction[],
  format: ExportFormat,
): string {
  const sorted = transactions.toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  switch (format) {
    case "hledger":
    case "ledger":
      return journal(sorted);
    case "beancount":
      return beancount(sorted);
    case "json":
      return `${JSON.stringify(sorted.map(jsonOf), null, 2)}\n`;
  }
}

const numberText = (amount: Amount): string =>
  amount.kind === "money" ? formatMoney(amount.money) : formatDecimal(amount.units);

const oneLine = (text: string): string => text.replaceAll(/[\r\n;|]+/g, " ").trim();

function journal(transactions: readonly LedgerTransaction[]): string {
  const postings = transactions.flatMap((transaction) => transaction.postings);
  const declared = (word: string, names: readonly string[]) =>
    [...new Set(names)].toSorted().map((name) => `${word} ${name}`);
  // Declared one and all, so that the strict modes of both programs find nothing to say.
  const header = [
    ...declared("tag", ["at", "cause", "policy"]),
    ...declared(
      "commodity",
      postings.map(({ amount }) => journalCommodity(amount)),
    ),
    ...declared(
      "account",
      postings.map(({ account }) => account),
    ),
  ];
  const body = transactions.map((transaction) =>
    [
      `${dayAt(transaction.at, "UTC")} * (${transaction.id}) ${oneLine(transaction.description)}`,
      `    ; cause: ${oneLine(transaction.cause)}`,
      `    ; at: ${formatInstant(transaction.at)}`,
      `    ; policy: ${transaction.policyVersion}`,
      ...transaction.postings.map(
        ({ account, amount }) =>
          `    ${account}  ${numberText(amount)} ${journalCommodity(amount)}`,
      ),
    ].join("\n"),
  );
  return `${[header.join("\n"), ...body].join("\n\n")}\n`;
}

/** Plain currency codes; anything with other letters in quotes, as hledger and ledger want it. */
const journalCommodity = (amount: Amount): string =>
  amount.kind === "money" ? commodityOf(amount) : `"units ${commodityOf(amount)}"`;

function beancount(transactions: readonly LedgerTransaction[]): string {
  const accountName = namer(beancountAccount);
  const commodityName = namer(beancountCommodity);
  const opened = new Map<string, string>();
  const body = transactions.map((transaction) => {
    const on = dayAt(transaction.at, "UTC");
    return [
      `${on} * "${oneLine(transaction.description).replaceAll('"', "'")}"`,
      `  id: "${transaction.id}"`,
      `  cause: "${oneLine(transaction.cause).replaceAll('"', "'")}"`,
      `  at: "${formatInstant(transaction.at)}"`,
      `  policy: ${transaction.policyVersion}`,
      ...transaction.postings.map(({ account, amount }) => {
        const name = accountName(account);
        if (!opened.has(name)) opened.set(name, on);
        const commodity =
          amount.kind === "money" ? commodityOf(amount) : commodityName(commodityOf(amount));
        return `  ${name}  ${numberText(amount)} ${commodity}`;
      }),
    ].join("\n");
  });
  const opens = [...opened]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, on]) => `${on} open ${name}`);
  // Wide enough to hide rounding of amounts that carry a price, and far below a cent's tenth for those that do not.
  const options = [
    'option "inferred_tolerance_multiplier" "0.01"',
    'option "operating_currency" "USD"',
  ];
  return `${[options.join("\n"), opens.join("\n"), ...body].join("\n\n")}\n`;
}

/** Assets:Receivable:Acc-01h…: every part starts with a capital letter or a digit and holds letters, digits and dashes. */
function beancountAccount(address: string): string {
  return address
    .split(":")
    .map((part) => {
      const clean = part.replaceAll(/[^A-Za-z0-9-]/g, "-");
      return clean.charAt(0).toUpperCase() + clean.slice(1);
    })
    .join(":");
}

/** At most 24 capitals, digits and dashes, first a letter, last no dash. */
function beancountCommodity(family: string): string {
  const clean = family.toUpperCase().replaceAll(/[^A-Z0-9]/g, "-");
  return `U-${clean}`.slice(0, 22).replace(/-+$/, "X");
}

/** Gives each text a name of its own, numbering those that the other program's alphabet makes alike. */
function namer(shape: (text: string) => string): (text: string) => string {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  return (text) => {
    const known = names.get(text);
    if (known) return known;
    const base = shape(text);
    let name = base;
    for (let n = 2; taken.has(name); n++) name = `${base}${n}`;
    names.set(text, name);
    taken.add(name);
    return name;
  };
}

function jsonOf(transaction: LedgerTransaction): unknown {
  return {
    id: transaction.id,
    cause: transaction.cause,
    at: formatInstant(transaction.at),
    description: transaction.description,
    policy_version: transaction.policyVersion,
    reverses: transaction.reverses,
    postings: transaction.postings.map(({ account, amount }) =>
      amount.kind === "money"
        ? { account, currency: amount.money.currency, amount: formatMoney(amount.money) }
        : { account, units: amount.family, quantity: formatDecimal(amount.units) },
    ),
  };
}

/** How a balance is written: major units for money, units otherwise. */
export function balanceText(balance: {
  readonly account: Address;
  readonly kind: Amount["kind"];
  readonly commodity: string;
  readonly number: { toFixed(): string };
}): string {
  if (balance.kind === "units") return balance.number.toFixed();
  const code = currency(balance.commodity);
  return minorDigits(code) === 0
    ? balance.number.toFixed()
    : formatMoney({ currency: code, minor: BigInt(balance.number.toFixed()) });
}
