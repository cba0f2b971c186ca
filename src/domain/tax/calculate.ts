import { allocate } from "../../kit/allocate.ts";
import type { Currency } from "../../kit/currency.ts";
import {
  type Decimal,
  absolute,
  add,
  decimal,
  divide,
  formatDecimal,
  multiply,
  type RoundingMode,
  sumOf,
  zero,
} from "../../kit/decimal.ts";
import {
  type Money,
  minus,
  negated,
  nothing,
  plus,
  sumMoney,
  toDecimal,
  toMoney,
} from "../../kit/money.ts";
import type { TaxCategory } from "./category.ts";

/** One line as tax sees it: an amount that is already rounded, in a category, at the rates that add up on it. */
export type TaxableLine = {
  /** Without tax; with the tax inside when prices include it. */
  readonly amount: Money;
  readonly category: TaxCategory;
  readonly components: readonly { readonly name: string; readonly percent: Decimal }[];
};

/** One row of the tax summary: a category at a set of rates. */
export type TaxGroup = {
  readonly category: TaxCategory;
  readonly percent: Decimal;
  readonly taxable: Money;
  readonly tax: Money;
  readonly components: readonly {
    readonly name: string;
    readonly percent: Decimal;
    readonly tax: Money;
  }[];
};

export type TaxResult = {
  readonly groups: readonly TaxGroup[];
  readonly lines: readonly { readonly net: Money; readonly tax: Money }[];
  readonly net: Money;
  readonly tax: Money;
  readonly gross: Money;
};

/**
 * Where rounding happens. `document`: once per (category, rate) on the whole document, as EN 16931 has it (BR-CO-17).
 * `line`: on every line, as a seller in the United States may elect (SSUTA § 324).
 */
export type TaxRounding = "document" | "line";
export type TaxOptions = {
  readonly rounding?: TaxRounding;
  readonly pricesIncludeTax?: boolean;
  readonly mode?: RoundingMode;
};

const hundred = decimal("100");

/**
 * Tax on a document: half away from zero, so that an invoice and its credit note mirror each other. What is rounded per
 * group is shown per line by largest remainder; lines always sum to their group, groups to the document.
 */
export function calculateTax(
  code: Currency,
  lines: readonly TaxableLine[],
  options: TaxOptions = {},
): TaxResult {
  const { rounding = "document", pricesIncludeTax = false, mode = "half_away" } = options;
  const groups = groupLines(lines).map((group) => {
    const shares =
      rounding === "line"
        ? group.lines.map((line) => taxOf(line, [line.amount], pricesIncludeTax, mode, code))
        : undefined;
    const whole = shares
      ? {
          components: (group.lines[0] as TaxableLine).components.map((_, i) =>
            sumMoney(
              code,
              shares.map((s) => s.components[i] as Money),
            ),
          ),
          tax: sumMoney(
            code,
            shares.map((s) => s.tax),
          ),
        }
      : taxOf(
          group.lines[0] as TaxableLine,
          group.lines.map(({ amount }) => amount),
          pricesIncludeTax,
          mode,
          code,
        );
    const perLine = shares
      ? shares.map((share) => share.tax)
      : splitOverLines(whole.tax, group.lines);
    return { ...group, whole, perLine };
  });

  const taxByIndex = new Map(
    groups.flatMap((group) =>
      group.indexes.map((index, i) => [index, group.perLine[i] as Money] as const),
    ),
  );
  const taxed = lines.map((line, index) => {
    const tax = taxByIndex.get(index) ?? nothing(code);
    return { net: pricesIncludeTax ? minus(line.amount, tax) : line.amount, tax };
  });
  const net = sumMoney(
    code,
    taxed.map((line) => line.net),
  );
  const tax = sumMoney(
    code,
    taxed.map((line) => line.tax),
  );
  return {
    groups: groups.map((group) => summaryRow(code, group, taxed)),
    lines: taxed,
    net,
    tax,
    gross: plus(net, tax),
  };
}

type Group = { readonly lines: readonly TaxableLine[]; readonly indexes: readonly number[] };

/** Lines of the same category and the same rates, in the order in which they first appear. */
function groupLines(lines: readonly TaxableLine[]): Group[] {
  const groups = new Map<string, { lines: TaxableLine[]; indexes: number[] }>();
  for (const [index, line] of lines.entries()) {
    const key = [
      line.category,
      ...line.components.map((c) => `${c.name} ${formatDecimal(c.percent)}`),
    ].join("|");
    const group = groups.get(key) ?? { lines: [], indexes: [] };
    group.lines.push(line);
    group.indexes.push(index);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** Each component rounded on its own base: stacked taxes do not tax each other. */
function taxOf(
  like: TaxableLine,
  amounts: readonly Money[],
  inclusive: boolean,
  mode: RoundingMode,
  code: Currency,
) {
  const base = sumOf(amounts.map(toDecimal));
  const percents = like.components.map((component) => component.percent);
  if (!inclusive) {
    const components = percents.map((percent) =>
      toMoney(divide(multiply(base, percent), hundred), code, mode),
    );
    return { components, tax: sumMoney(code, components) };
  }
  // Prices that include tax: round the net, so that net and tax add back to what was quoted.
  const total = sumOf(percents);
  const net = toMoney(divide(multiply(base, hundred), add(hundred, total)), code, mode);
  const tax = minus(toMoney(base, code, mode), net);
  return { components: percents.length > 0 ? allocate(tax, percents) : [], tax };
}

function splitOverLines(tax: Money, lines: readonly TaxableLine[]): Money[] {
  // Lines against the sign of the group (credits among charges) take part with their sign: split both sides and add.
  const positive = lines.map(({ amount }) => (amount.minor > 0n ? toDecimal(amount) : zero));
  const negative = lines.map(({ amount }) =>
    amount.minor < 0n ? absolute(toDecimal(amount)) : zero,
  );
  const [up, down] = [sumOf(positive), sumOf(negative)];
  if (down.isZero() || up.isZero()) return allocate(tax, down.isZero() ? positive : negative);
  const net = up.minus(down);
  if (net.isZero()) return lines.map(() => nothing(tax.currency));
  const upTax = toMoney(divide(multiply(toDecimal(tax), up), net), tax.currency);
  const downTax = minus(upTax, tax);
  const [ups, downs] = [allocate(upTax, positive), allocate(downTax, negative).map(negated)];
  return ups.map((share, index) => plus(share, downs[index] as Money));
}

function summaryRow(
  code: Currency,
  group: Group & { whole: { components: Money[]; tax: Money } },
  taxed: TaxResult["lines"],
): TaxGroup {
  const first = group.lines[0] as TaxableLine;
  return {
    category: first.category,
    percent: sumOf(first.components.map((component) => component.percent)),
    taxable: sumMoney(
      code,
      group.indexes.map((index) => (taxed[index] as { net: Money }).net),
    ),
    tax: group.whole.tax,
    components: first.components.map((component, i) => ({
      ...component,
      tax: group.whole.components[i] as Money,
    })),
  };
}
