import { z } from "@hono/zod-openapi";
import {
  accountStatuses,
  type BillingAccount,
  type Condition,
  cycles,
  suspensionCodes,
} from "../../domain/accounts/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import type { PayerHistory } from "../../flows/choose-payer.ts";
import type { AccountProfile, GivenTerms } from "../../flows/manage-accounts.ts";
import { type Currency, currency } from "../../kit/currency.ts";
import { decimal, formatDecimal, isDecimalText, isPositive } from "../../kit/decimal.ts";
import { parseMoney } from "../../kit/money.ts";
import { formatInstant } from "../../kit/time.ts";
import {
  CurrencyCode,
  DecimalText,
  InstantIn,
  InstantText,
  idOrSlug,
  MoneyView,
  moneyView,
  Name,
  Reason,
  Slug,
  ZoneName,
} from "./common.ts";

export const AccountParam = z.object({ account: idOrSlug("billing account", "acme-usd") });

const Email = z.email().max(254);
const Country = z.string().regex(/^[A-Z]{2}$/, "write an ISO 3166-1 code, as in DE");

const AddressShape = z
  .strictObject({
    lines: z.array(z.string().max(200)).max(5).default([]),
    city: z.string().max(100).default(""),
    postal_code: z.string().max(20).default(""),
    region: z.string().max(100).default(""),
    country: Country.openapi({ description: "ISO 3166-1 alpha-2.", example: "DE" }),
  })
  .openapi("Address");

const ContactShape = z
  .strictObject({
    name: Name,
    email: Email,
    role: z.enum(["owner", "billing", "technical"]).default("billing"),
  })
  .openapi("Contact");

const TaxIdShape = z
  .strictObject({
    type: z
      .string()
      .regex(/^[a-z]{2}_[a-z0-9]{2,10}$/)
      .openapi({ example: "eu_vat" }),
    value: z.string().min(1).max(40).openapi({ example: "DE123456789" }),
  })
  .openapi("TaxId");

const invoiceDay = z.int().min(1).max(28);
const language = z
  .string()
  .regex(/^[a-z]{2}(-[A-Z]{2})?$/, "write a language tag, as in en or de-AT");

const percent = (most: number) =>
  DecimalText.refine(
    (text) => isDecimalText(text) && isPositive(decimal(text)) && Number(text) <= most,
    `write a per cent above 0 and up to ${most}`,
  );
const EarlyDiscountShape = z
  .strictObject({ percent: percent(50), days: z.int().min(1).max(90) })
  .openapi("EarlyDiscount", {
    description:
      "What is forgiven of an invoice that is paid in full within these days of its issue.",
    example: { percent: "2", days: 10 },
  });
const LateFeeShape = z.strictObject({ percent_per_month: percent(10) }).openapi("LateFee", {
  description:
    "A line on the next invoice for each month begun after the due date, of what is open then.",
  example: { percent_per_month: "1.5" },
});

export const TermsShape = z
  .strictObject({
    net_days: z
      .int()
      .min(0)
      .max(90)
      .openapi({ description: "Days from issue to due date.", example: 30 }),
    credit_limit: DecimalText.nullable().default(null).openapi({
      description:
        "In the account's currency. Staff is alerted at 80 and 100 per cent; usage is not stopped.",
    }),
    agreement_reference: z.string().max(100).nullable().default(null),
    early_discount: EarlyDiscountShape.nullable().default(null),
    late_fee: LateFeeShape.nullable().default(null),
  })
  .openapi("NewTerms");

const profile = {
  name: Name,
  currency: CurrencyCode,
  time_zone: ZoneName,
  invoice_day: invoiceDay.openapi({
    description: "Day of the month on which periods start, 1 to 28.",
  }),
  cycle: z.enum(cycles),
  legal_name: z.string().max(200).nullable(),
  address: AddressShape.nullable(),
  tax_ids: z.array(TaxIdShape).max(20),
  contacts: z.array(ContactShape).max(50),
  ap_email: Email.nullable().openapi({ description: "Where accounts payable receives invoices." }),
  po_number: z.string().max(60).nullable().openapi({ example: "PO-4471" }),
  language: language.openapi({ description: "Of invoices and messages.", example: "en" }),
};

export const NewAccountBody = z
  .strictObject({
    slug: Slug,
    ...profile,
    time_zone: profile.time_zone.default("UTC"),
    invoice_day: profile.invoice_day.default(1),
    cycle: profile.cycle.default("month"),
    legal_name: profile.legal_name.default(null),
    address: profile.address.default(null),
    tax_ids: profile.tax_ids.default([]),
    contacts: profile.contacts.default([]),
    ap_email: profile.ap_email.default(null),
    po_number: profile.po_number.default(null),
    language: profile.language.default("en"),
    terms: TermsShape.optional().openapi({
      description: "Only with the permission accounts.terms: the account is ready at once.",
    }),
  })
  .openapi("NewBillingAccount");

export const AccountEditBody = z.strictObject(profile).partial().openapi("BillingAccountEdit");

type ProfileIn = z.output<typeof AccountEditBody>;

/** The members that were given, in the domain's words. */
export function profileOf(body: ProfileIn): Partial<AccountProfile> {
  const edit: { -readonly [K in keyof AccountProfile]?: AccountProfile[K] } = {};
  if (body.name !== undefined) edit.name = body.name;
  if (body.currency !== undefined) edit.currency = currency(body.currency);
  if (body.time_zone !== undefined) edit.timeZone = body.time_zone;
  if (body.invoice_day !== undefined) edit.invoiceDay = body.invoice_day;
  if (body.cycle !== undefined) edit.cycle = body.cycle;
  if (body.legal_name !== undefined) edit.legalName = body.legal_name;
  if (body.address !== undefined)
    edit.address = body.address && {
      lines: body.address.lines,
      city: body.address.city,
      postalCode: body.address.postal_code,
      region: body.address.region,
      country: body.address.country,
    };
  if (body.tax_ids !== undefined) edit.taxIds = body.tax_ids;
  if (body.contacts !== undefined) edit.contacts = body.contacts;
  if (body.ap_email !== undefined) edit.apEmail = body.ap_email;
  if (body.po_number !== undefined) edit.poNumber = body.po_number;
  if (body.language !== undefined) edit.language = body.language;
  return edit;
}

export function termsOf(body: z.output<typeof TermsShape>, code: Currency): GivenTerms {
  return {
    netDays: body.net_days,
    creditLimit: body.credit_limit === null ? null : amountOf(body.credit_limit, code),
    agreementReference: body.agreement_reference,
    earlyDiscount: body.early_discount && {
      percent: decimal(body.early_discount.percent),
      days: body.early_discount.days,
    },
    lateFee: body.late_fee && { percentPerMonth: decimal(body.late_fee.percent_per_month) },
  };
}

function amountOf(text: string, code: Currency) {
  try {
    return parseMoney(text, code);
  } catch (error) {
    throw new Problem("request_not_valid", (error as Error).message, {
      faults: [{ pointer: "/credit_limit", detail: (error as Error).message }],
    });
  }
}

const ConditionView = z
  .strictObject({
    type: z.enum(["Ready", "PaymentReady", "InvoicingReady"]),
    status: z.enum(["true", "false", "unknown"]),
    reason: z.string().openapi({ description: "One word, for programs.", example: "TermsActive" }),
    message: z.string(),
    since: InstantText,
  })
  .openapi("Condition");

export const AccountView = z
  .strictObject({
    id: z.string().openapi({ example: "acc_01jz8v5w9k2m4n6p8q0r" }),
    object: z.literal("billing_account"),
    created_at: InstantText,
    slug: z.string().openapi({ example: "acme-usd" }),
    name: z.string(),
    currency: CurrencyCode,
    time_zone: ZoneName,
    invoice_day: z.int(),
    cycle: z.enum(cycles),
    price_book: z
      .string()
      .nullable()
      .openapi({ description: "Null: the retail book of its currency." }),
    parent_id: z
      .string()
      .nullable()
      .openapi({ description: "The account that pays for this one." }),
    status: z.enum(accountStatuses),
    status_reason: z.string(),
    status_at: InstantText,
    cause_cleared_at: InstantText.nullable(),
    conditions: z.array(ConditionView),
    terms: z
      .strictObject({
        net_days: z.int(),
        credit_limit: MoneyView.nullable(),
        agreement_reference: z.string().nullable(),
        early_discount: EarlyDiscountShape.nullable(),
        late_fee: LateFeeShape.nullable(),
        granted_at: InstantText,
      })
      .nullable()
      .openapi({ description: "Granted by staff; null when there are none." }),
    legal_name: z.string().nullable(),
    address: AddressShape.nullable(),
    tax_ids: z.array(TaxIdShape),
    contacts: z.array(ContactShape),
    ap_email: z.string().nullable(),
    po_number: z.string().nullable(),
    language: z.string(),
  })
  .openapi("BillingAccount");

export const accountView = (
  account: BillingAccount,
  conditions: readonly Condition[],
): z.input<typeof AccountView> => ({
  id: account.id,
  object: "billing_account",
  created_at: formatInstant(account.createdAt),
  slug: account.slug,
  name: account.name,
  currency: account.currency,
  time_zone: account.timeZone,
  invoice_day: account.invoiceDay,
  cycle: account.cycle,
  price_book: account.priceBook,
  parent_id: account.parentId,
  status: account.status,
  status_reason: account.statusReason,
  status_at: formatInstant(account.statusAt),
  cause_cleared_at: account.causeCleared && formatInstant(account.causeCleared.at),
  conditions: conditions.map((condition) => ({
    type: condition.type,
    status: condition.status,
    reason: condition.reason,
    message: condition.message,
    since: formatInstant(condition.since),
  })),
  terms: account.terms && {
    net_days: account.terms.netDays,
    credit_limit: account.terms.creditLimit && moneyView(account.terms.creditLimit),
    agreement_reference: account.terms.agreementReference,
    early_discount: account.terms.earlyDiscount && {
      percent: formatDecimal(account.terms.earlyDiscount.percent),
      days: account.terms.earlyDiscount.days,
    },
    late_fee: account.terms.lateFee && {
      percent_per_month: formatDecimal(account.terms.lateFee.percentPerMonth),
    },
    granted_at: formatInstant(account.terms.grantedAt),
  },
  legal_name: account.legalName,
  address: account.address && {
    lines: [...account.address.lines],
    city: account.address.city,
    postal_code: account.address.postalCode,
    region: account.address.region,
    country: account.address.country,
  },
  tax_ids: account.taxIds.map((one) => ({ ...one })),
  contacts: account.contacts.map((one) => ({ ...one })),
  ap_email: account.apEmail,
  po_number: account.poNumber,
  language: account.language,
});

export const SuspendBody = z
  .strictObject({ code: z.enum(suspensionCodes), reason: Reason })
  .openapi("Suspension");
export const ReasonBody = z.strictObject({ reason: Reason }).openapi("WithReason");
export const ParentBody = z
  .strictObject({
    parent: z
      .string()
      .min(1)
      .max(80)
      .nullable()
      .openapi({ description: "Id or slug of the account that pays; null for none." }),
  })
  .openapi("AccountParent");
export const PayerBody = z
  .strictObject({
    payer: z.string().min(1).max(161).nullable().openapi({
      description:
        "Id or slug of an account of the same organization, or `organization/account` of the partner above; null: the account pays itself.",
      example: "globex/main",
    }),
    effective_from: InstantIn.optional().openapi({
      description:
        "A full quarter of an hour, not before the end of the account's last period with a document. The quarter that is running when left out.",
    }),
    reason: Reason.optional(),
  })
  .openapi("NewPayer");

export const PayersView = z
  .strictObject({
    object: z.literal("payers"),
    changes: z
      .array(
        z.strictObject({
          version: z.number().int(),
          payer: z.string().nullable(),
          effective_from: InstantText,
          reason: z.string(),
          created_by: z.string(),
          created_at: InstantText,
        }),
      )
      .openapi({
        description:
          "What was said, in order: a later one replaces what was said before from its own moment on.",
      }),
    timeline: z
      .array(
        z.strictObject({
          payer: z.string().openapi({ example: "globex/main" }),
          starts_at: InstantText.nullable(),
          ends_at: InstantText.nullable(),
        }),
      )
      .openapi({
        description: "Who is asked for the money, through everybody who pays for a payer.",
      }),
  })
  .openapi("Payers");

export const payersView = (history: PayerHistory): z.input<typeof PayersView> => ({
  object: "payers",
  changes: history.changes.map((one) => ({
    version: one.version,
    payer: one.payerName,
    effective_from: formatInstant(one.effectiveFrom),
    reason: one.reason,
    created_by: one.createdBy,
    created_at: formatInstant(one.createdAt),
  })),
  timeline: history.stretches.map((one) => ({
    payer: one.name,
    starts_at: Number.isFinite(one.startsAt) ? formatInstant(one.startsAt) : null,
    ends_at: Number.isFinite(one.endsAt) ? formatInstant(one.endsAt) : null,
  })),
});

export const PriceBookBody = z
  .strictObject({ price_book: z.string().min(1).max(80).nullable() })
  .openapi("AccountPriceBook");
