import { expect } from "vitest";
import { decideCredit } from "../../src/domain/corrections/index.ts";
import type { IssuedContent } from "../../src/domain/invoicing/index.ts";
import {
  calculateTax,
  decideTax,
  documentTotals,
  spreadDiscount,
  stackDiscounts,
  type TaxableLine,
  type TaxCategory,
} from "../../src/domain/tax/index.ts";
import { type Currency, currency, minorDigits } from "../../src/kit/currency.ts";
import {
  add,
  decimal,
  divide,
  formatDecimal,
  multiply,
  negate,
  round,
  subtract,
} from "../../src/kit/decimal.ts";
import {
  formatMoney,
  type Money,
  money,
  parseMoney,
  sumMoney,
  toDecimal,
  toMoney,
} from "../../src/kit/money.ts";
import { dayOf } from "../../src/kit/time.ts";
import { oracle } from "./cases.ts";

const USD = currency("USD");
const percentText = (text: string) => decimal(text.replace("%", ""));
const standard = (amount: Money, ...percents: string[]): TaxableLine => ({
  amount,
  category: "S",
  components: percents.map((percent, index) => ({
    name: `tax ${index}`,
    percent: decimal(percent),
  })),
});
const shown = (text: string, code: Currency) => formatMoney(toMoney(decimal(text), code));

oracle<{ rate_percent: string; taxable: string; currency: string }, { tax: string }>(
  "tax.percentage",
  ({ input, expected }) => {
    const code = currency(input.currency);
    expect(
      formatMoney(
        calculateTax(code, [standard(parseMoney(input.taxable, code), input.rate_percent)]).tax,
      ),
    ).toBe(expected.tax);
  },
);

oracle<
  { rates_percent: string[]; taxable: string; currency: string },
  { taxes: string[]; total: string }
>("tax.stacked", ({ input, expected }) => {
  const code = currency(input.currency);
  const result = calculateTax(code, [
    standard(parseMoney(input.taxable, code), ...input.rates_percent),
  ]);
  expect(result.groups[0]?.components.map((component) => formatMoney(component.tax))).toEqual(
    expected.taxes,
  );
  expect(formatMoney(result.tax)).toBe(expected.total);
});

oracle<
  { fees_cents: number[]; coupon_cents: number; tax_percents: string[] },
  { taxable_cents: number; tax_cents: number; total_cents: number }
>("invoice.taxes_and_coupon", ({ input, expected }) => {
  const fees = input.fees_cents.map((cents) => money(USD, BigInt(cents)));
  const off = spreadDiscount(fees, money(USD, BigInt(input.coupon_cents)));
  const lines = fees.map((fee, i) =>
    standard({ ...fee, minor: fee.minor - (off[i] as Money).minor }, ...input.tax_percents),
  );
  const result = calculateTax(USD, lines);
  expect([result.net.minor, result.tax.minor, result.gross.minor].map(Number)).toEqual([
    expected.taxable_cents,
    expected.tax_cents,
    expected.total_cents,
  ]);
});

oracle<{ fees_cents: number[]; coupon_percent: string }, { per_fee_cents: number[] }>(
  "coupon.spread",
  ({ input, expected }) => {
    const fees = input.fees_cents.map((cents) => money(USD, BigInt(cents)));
    const off = stackDiscounts(sumMoney(USD, fees), [
      { kind: "percent", percent: decimal(input.coupon_percent) },
    ]);
    expect(spreadDiscount(fees, off).map((part) => Number(part.minor))).toEqual(
      expected.per_fee_cents,
    );
  },
);

oracle<
  { lines: number[]; coupon_percent: number; tax_percent: number; credit_lines?: number[] },
  {
    subtotal?: number;
    discount?: number;
    tax: number;
    total: number;
    lines_after_tax?: number[];
  }
>("credit_note.partial_minor", ({ input, expected }) => {
  const fees = input.lines.map((minor) => money(USD, BigInt(minor)));
  const percent = decimal(String(input.coupon_percent));
  const off = stackDiscounts(sumMoney(USD, fees), [{ kind: "percent", percent }]);
  const spread = spreadDiscount(fees, off);
  const charged = fees.map((fee, i) => money(USD, fee.minor - (spread[i] as Money).minor));
  const rate = String(input.tax_percent);
  if (!input.credit_lines) {
    const invoice = calculateTax(
      USD,
      charged.map((amount) => standard(amount, rate)),
    );
    expect(
      [sumMoney(USD, fees), off, invoice.tax, invoice.gross].map(({ minor }) => Number(minor)),
    ).toEqual([expected.subtotal, expected.discount, expected.tax, expected.total]);
    return;
  }
  // The lines of the document as they were charged, and what a credit note on some of them gives back.
  const period = { starts_at: "2025-01-01T00:00:00Z", ends_at: "2025-02-01T00:00:00Z" };
  const lines = charged.map((amount, i) => ({
    line_no: i + 1,
    sku: `SKU-${i}`,
    description: "",
    amount: formatMoney(amount),
    period,
  }));
  const content = { id: "inv_1", number: "INV-1", currency: "USD", lines } as unknown;
  const decision = decideCredit(content as IssuedContent, new Map(), {
    kind: "lines",
    lines: input.credit_lines.map((i) => ({ lineNo: i + 1, amount: null })),
  });
  if (decision.kind !== "credit") throw new Error(decision.kind);
  const note = calculateTax(
    USD,
    decision.lines.map(({ amount }) => standard(amount, rate)),
  );
  expect([Number(note.tax.minor), Number(note.gross.minor)]).toEqual([
    expected.tax,
    expected.total,
  ]);
  expect(note.lines.map(({ net, tax }) => Number(net.minor + tax.minor))).toEqual(
    expected.lines_after_tax,
  );
});

oracle<{ lines: string[]; amount_off: string }, { lines: string[] }>(
  "discount.fixed_allocation",
  ({ input, expected }) => {
    const lines = input.lines.map((text) => parseMoney(text, USD));
    const off = spreadDiscount(lines, parseMoney(input.amount_off, USD));
    expect(
      lines.map((line, i) => formatMoney({ ...line, minor: line.minor - (off[i] as Money).minor })),
    ).toEqual(expected.lines.map((text) => shown(text, USD)));
  },
);

oracle<{ credit: string; percent_off: number; discount_started: string }, { credit: string }>(
  "discount.on_proration_credit",
  ({ input, expected }) => {
    // A credit gives back what was paid: a discount lowers it only when it already lowered the charge.
    const applied =
      input.discount_started === "before_period"
        ? [{ kind: "percent" as const, percent: decimal(String(input.percent_off)) }]
        : [];
    const paid = toMoney(negate(decimal(input.credit)), USD);
    expect(formatDecimal(subtract(toDecimal(stackDiscounts(paid, applied)), toDecimal(paid)))).toBe(
      expected.credit,
    );
  },
);

oracle<
  { subtotal: number; discounts: { percent?: number; fixed?: number }[] },
  { discount: number }
>("discount.stack_minor", ({ input, expected }) => {
  const discounts = input.discounts.map((one) =>
    one.percent === undefined
      ? { kind: "fixed" as const, amount: money(USD, BigInt(one.fixed ?? 0)) }
      : { kind: "percent" as const, percent: decimal(String(one.percent)) },
  );
  expect(Number(stackDiscounts(money(USD, BigInt(input.subtotal)), discounts).minor)).toBe(
    expected.discount,
  );
});

oracle<{ lines: number[]; discount: number }, { taxable: number[] }>(
  "discount.distribute_minor",
  ({ input, expected }) => {
    const off = spreadDiscount(
      input.lines.map((minor) => money(USD, BigInt(minor))),
      money(USD, BigInt(input.discount)),
    );
    expect(input.lines.map((minor, i) => minor - Number((off[i] as Money).minor))).toEqual(
      expected.taxable,
    );
  },
);

type VatCase = {
  subtotal: number;
  seller: string;
  buyer: string;
  rate_percent?: number;
  buyer_vat_valid?: boolean;
};
oracle<VatCase, { tax: number; total: number; reverse_charge?: boolean }>(
  "tax.vat_minor",
  ({ input, expected }) => {
    const table = [
      {
        country: input.buyer,
        region: null,
        productClass: "standard",
        name: "VAT",
        percent: decimal(String(input.rate_percent ?? 19)),
        from: dayOf("2020-01-01"),
        until: null,
      },
    ];
    const treatment = decideTax({
      seller: { country: input.seller, vatId: "FR40303265045", registeredIn: [] },
      buyer: {
        place: { country: input.buyer, region: null },
        vatId: input.buyer_vat_valid ? "DE136695976" : null,
        vatIdValid: input.buyer_vat_valid ?? false,
        exemption: null,
      },
      productClass: "standard",
      on: dayOf("2025-01-01"),
      table,
    });
    expect(treatment.kind === "untaxed" && treatment.category === "AE").toBe(
      expected.reverse_charge ?? false,
    );
    if (treatment.kind === "undecided") throw new Error(treatment.because);
    const line = {
      amount: money(USD, BigInt(input.subtotal)),
      category: treatment.category,
      components: treatment.kind === "taxed" ? treatment.components : [],
    };
    const result = calculateTax(USD, [line]);
    expect([Number(result.tax.minor), Number(result.gross.minor)]).toEqual([
      expected.tax,
      expected.total,
    ]);
  },
);

oracle<{ lines: number[]; exempt: boolean }, { taxes: number[]; total: number }>(
  "tax.lines_minor",
  ({ input, expected }) => {
    const lines = input.lines.map(
      (minor): TaxableLine => ({
        amount: money(USD, BigInt(minor)),
        category: "E",
        components: [],
      }),
    );
    const result = calculateTax(USD, lines);
    expect(result.lines.map((line) => Number(line.tax.minor))).toEqual(expected.taxes);
    expect(Number(result.gross.minor)).toBe(expected.total);
  },
);

oracle<{ amount: string; gst_percent: number; pst_percent: number }, { tax: string }>(
  "tax.canada_bc",
  ({ input, expected }) => {
    const line = standard(
      parseMoney(input.amount, USD),
      String(input.gst_percent),
      String(input.pst_percent),
    );
    expect(formatMoney(calculateTax(USD, [line]).tax)).toBe(expected.tax);
  },
);

type OrderInput = {
  subscription?: string;
  usage?: string;
  coupon?: string;
  lines?: { amount: string; percent_discount?: string }[];
  invoice_discount?: string;
  credits?: string;
  tax_pct: string;
  credit_notes?: string;
  prepaid_credits?: string;
};
type OrderExpected = {
  pre_tax?: string;
  taxable?: string;
  subtotal_excl_tax?: string;
  tax: string;
  subtotal_incl_tax?: string;
  total_due?: string;
  total?: string;
};

oracle<OrderInput, OrderExpected>("invoice_total_order", ({ input, expected }) => {
  const given = input.lines ?? [
    { amount: input.subscription as string },
    { amount: input.usage as string },
  ];
  const fees = given.map((line) => {
    const amount = parseMoney(line.amount, USD);
    const percent =
      "percent_discount" in line && line.percent_discount
        ? [{ kind: "percent" as const, percent: decimal(line.percent_discount) }]
        : [];
    return { ...amount, minor: amount.minor - stackDiscounts(amount, percent).minor };
  });
  // Promotional credit comes before tax and lowers its base; prepaid balance and credit notes come after and do not.
  const promotional = expected.pre_tax ? (input.prepaid_credits ?? "0") : "0";
  const after = expected.pre_tax ? "0" : (input.prepaid_credits ?? "0");
  const off = spreadDiscount(
    fees,
    toMoney(add(decimal(input.coupon ?? input.invoice_discount ?? "0"), decimal(promotional)), USD),
  );
  const lines = fees.map((fee, i) =>
    standard({ ...fee, minor: fee.minor - (off[i] as Money).minor }, input.tax_pct),
  );
  const prepaid = toMoney(
    add(add(decimal(input.credit_notes ?? "0"), decimal(after)), decimal(input.credits ?? "0")),
    USD,
  );
  const totals = documentTotals(USD, lines, { prepaid });

  expect(formatMoney(totals.tax)).toBe(expected.tax);
  expect(formatMoney(totals.taxExclusive)).toBe(
    expected.pre_tax ?? expected.taxable ?? expected.subtotal_excl_tax,
  );
  if (expected.subtotal_incl_tax)
    expect(formatMoney(totals.taxInclusive)).toBe(expected.subtotal_incl_tax);
  expect(formatMoney(totals.due)).toBe(expected.total_due ?? expected.total);
});

oracle<
  { amount: string; discount: string; vat_pct: string },
  { taxable: string; exact_vat: string; vat_half_up: string; vat_published: string }
>("vat_rounding_pitfall", ({ input, expected }) => {
  const taxable = subtract(decimal(input.amount), decimal(input.discount));
  const line = standard(toMoney(taxable, USD), input.vat_pct);
  expect(formatMoney(calculateTax(USD, [line]).tax)).toBe(expected.vat_half_up);
  expect(formatMoney(calculateTax(USD, [line], { mode: "half_even" }).tax)).toBe(
    expected.vat_published,
  );
});

oracle<
  { currency: string; amount: string; components: { code: string; pct: string }[] },
  Record<string, string>
>("multi_component_tax", ({ input, expected }) => {
  const code = currency(input.currency);
  const result = calculateTax(code, [
    standard(parseMoney(input.amount, code), ...input.components.map((c) => c.pct)),
  ]);
  expect(result.groups[0]?.components.map((c) => formatMoney(c.tax))).toEqual(
    input.components.map((c) => expected[c.code]),
  );
  expect([result.tax, result.gross].map(formatMoney)).toEqual([expected["tax"], expected["total"]]);
});

type SalesTax = { tax_exact?: string; amount?: string; rate_pct?: string };
oracle<SalesTax, { tax: string; exact?: string }>(
  "us_sales_tax_rounding",
  ({ input, expected }) => {
    if (input.tax_exact)
      expect(formatMoney(toMoney(decimal(input.tax_exact), USD))).toBe(expected.tax);
    else
      expect(
        formatMoney(
          calculateTax(USD, [
            standard(parseMoney(input.amount as string, USD), input.rate_pct as string),
          ]).tax,
        ),
      ).toBe(expected.tax);
  },
);

oracle<{ items: string[]; rate_pct: string }, { item_level: string; invoice_level: string }>(
  "us_sales_tax_item_vs_invoice",
  ({ input, expected }) => {
    const lines = input.items.map((item) => standard(parseMoney(item, USD), input.rate_pct));
    expect(formatMoney(calculateTax(USD, lines, { rounding: "line" }).tax)).toBe(
      expected.item_level,
    );
    expect(formatMoney(calculateTax(USD, lines).tax)).toBe(expected.invoice_level);
  },
);

oracle<{ price: string; tax_pct: string }, { net: string; tax: string; total: string }>(
  "tax_inclusive",
  ({ input, expected }) => {
    const result = calculateTax(USD, [standard(parseMoney(input.price, USD), input.tax_pct)], {
      pricesIncludeTax: true,
    });
    expect([result.net, result.tax, result.gross].map(formatMoney)).toEqual([
      expected.net,
      expected.tax,
      expected.total,
    ]);
  },
);

oracle<{ gross: string; tax_pct: string; mode: string }, { net: string; tax: string }>(
  "tax_inclusive_net_rounding",
  ({ input, expected }) => {
    const result = calculateTax(USD, [standard(parseMoney(input.gross, USD), input.tax_pct)], {
      pricesIncludeTax: true,
    });
    expect([result.net, result.tax].map(formatMoney)).toEqual([expected.net, expected.tax]);
  },
);

const categoryOf: Record<string, TaxCategory> = {
  "reverse-charge": "AE",
  "outside-scope": "O",
  export: "G",
  exempt: "E",
  zero: "Z",
  standard: "S",
};
type GobltTax = { cat: string; key?: string; percent?: string; surcharge?: string };
type GoblLine = {
  qty: string;
  price: string;
  discounts: { amount: string }[];
  charges: { amount: string }[];
  taxes: GobltTax[];
  total: string;
};
type GoblTotals = {
  sum: string;
  total: string;
  tax: string;
  total_with_tax: string;
  payable: string;
  retained_tax?: string;
  advance?: string;
  due?: string;
};

oracle<{ currency: string; prices_include: string | null; lines: GoblLine[] }, GoblTotals>(
  "full_invoice_totals",
  ({ input, expected }) => {
    const code = currency(input.currency);
    const retained = new Set(["IRPF", "IRPEF"]);
    const lines = input.lines.map((line): TaxableLine => {
      const off = line.discounts.reduce((sum, one) => add(sum, decimal(one.amount)), decimal("0"));
      const on = line.charges.reduce((sum, one) => add(sum, decimal(one.amount)), decimal("0"));
      const amount = toMoney(
        add(subtract(multiply(decimal(line.qty), decimal(line.price)), off), on),
        code,
      );
      const charged = line.taxes.filter((tax) => !retained.has(tax.cat));
      const rates = charged.flatMap((tax) => [
        ...(tax.percent ? [{ name: tax.cat, percent: percentText(tax.percent) }] : []),
        ...(tax.surcharge
          ? [{ name: `${tax.cat} surcharge`, percent: percentText(tax.surcharge) }]
          : []),
      ]);
      const category = categoryOf[charged.find((tax) => tax.key)?.key ?? "standard"] ?? "S";
      return { amount, category, components: category === "S" ? rates : [] };
    });
    const withholdings = input.lines.flatMap((line, i) =>
      line.taxes
        .filter((tax) => retained.has(tax.cat))
        .map((tax) => ({
          name: tax.cat,
          tax: calculateTax(code, [
            standard((lines[i] as TaxableLine).amount, (tax.percent ?? "0").replace("%", "")),
          ]).tax,
        })),
    );
    const prepaid = expected.advance ? parseMoney(expected.advance, code) : money(code, 0n);
    const totals = documentTotals(code, lines, {
      withholdings,
      prepaid,
      options: { pricesIncludeTax: input.prices_include !== null },
    });

    const digits = minorDigits(code);
    const same = (value: Money, text: string | undefined) =>
      expect(formatMoney(value)).toBe(
        formatMoney(toMoney(round(decimal(text ?? "0"), digits), code)),
      );
    same(totals.taxExclusive, expected.total);
    same(totals.tax, expected.tax);
    same(totals.taxInclusive, expected.total_with_tax);
    same({ ...totals.due, minor: totals.due.minor + prepaid.minor }, expected.payable);
    if (expected.due) same(totals.due, expected.due);
  },
);

type EnLine = {
  qty: string;
  price: string;
  baseQty: string | null;
  net: string;
  cat: string;
  rate: string | null;
  ac: { charge: string; amount: string }[];
};
type EnInput = {
  currency: string;
  docAC: { charge: string; amount: string; cat: string; rate: string | null; reason?: string }[];
  lines: EnLine[];
  prepaid: string | null;
  rounding: string | null;
};
type EnExpected = {
  vat_breakdown: { cat: string; rate: string | null; taxable: string; tax: string }[];
  totals: Record<string, string>;
};

const enComponents = (cat: string, rate: string | null) =>
  cat === "S" && rate !== null ? [{ name: "VAT", percent: decimal(rate) }] : [];

oracle<EnInput, EnExpected>("en16931_document", ({ input, expected }) => {
  const code = currency(input.currency);
  const lines = input.lines.map((line): TaxableLine => {
    const gross = divide(
      multiply(decimal(line.qty), decimal(line.price)),
      decimal(line.baseQty ?? "1"),
    );
    const net = line.ac.reduce(
      (sum, one) =>
        one.charge === "true" ? add(sum, decimal(one.amount)) : subtract(sum, decimal(one.amount)),
      gross,
    );
    expect(formatMoney(toMoney(net, code))).toBe(shown(line.net, code));
    return {
      amount: toMoney(net, code),
      category: line.cat as TaxCategory,
      components: enComponents(line.cat, line.rate),
    };
  });
  const totals = documentTotals(code, lines, {
    adjustments: input.docAC.map((one) => ({
      kind: one.charge === "true" ? "charge" : "allowance",
      amount: parseMoney(one.amount, code),
      reason: one.reason ?? "",
      category: one.cat as TaxCategory,
      components: enComponents(one.cat, one.rate),
    })),
    prepaid: toMoney(decimal(input.prepaid ?? "0"), code),
  });
  const names: Record<string, Money> = {
    LineExtensionAmount: totals.lineTotal,
    TaxExclusiveAmount: totals.taxExclusive,
    TaxInclusiveAmount: totals.taxInclusive,
    AllowanceTotalAmount: totals.allowances,
    ChargeTotalAmount: totals.charges,
    PrepaidAmount: totals.prepaid,
    PayableAmount: {
      ...totals.due,
      minor: totals.due.minor + toMoney(decimal(input.rounding ?? "0"), code).minor,
    },
  };
  for (const [name, text] of Object.entries(expected.totals)) {
    const value = names[name];
    if (value) expect(`${name} ${formatMoney(value)}`).toBe(`${name} ${shown(text, code)}`);
  }
  const key = (cat: string, rate: string, taxable: string, tax: string) =>
    [cat, formatDecimal(decimal(rate)), shown(taxable, code), shown(tax, code)].join(" ");
  expect(
    totals.summary
      .map((g) =>
        key(g.category, formatDecimal(g.percent), formatMoney(g.taxable), formatMoney(g.tax)),
      )
      .toSorted(),
  ).toEqual(
    expected.vat_breakdown
      .map((g) => key(g.cat, g.cat === "S" ? (g.rate ?? "0") : "0", g.taxable, g.tax))
      .toSorted(),
  );
});
