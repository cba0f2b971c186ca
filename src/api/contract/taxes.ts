import { z } from "@hono/zod-openapi";
import type { FxRate } from "../../domain/exchange/index.ts";
import type { LegalEntity, TaxRate } from "../../domain/tax/index.ts";
import { formatDecimal } from "../../kit/decimal.ts";
import { dayOf } from "../../kit/time.ts";
import { CurrencyCode, DecimalText, Name, Slug } from "./common.ts";

const Country = z
  .string()
  .regex(/^[A-Z]{2}$/, "write an ISO 3166-1 code, as in DE")
  .openapi({ example: "DE" });
export const DayText = z.iso.date().openapi({ example: "2025-07-01" });

export const EntityParam = z.object({ entity: Slug });

export const EntityBody = z
  .strictObject({
    name: Name,
    street: z.string().max(200).default(""),
    city: z.string().max(100).default(""),
    postcode: z.string().max(20).default(""),
    region: z.string().max(100).nullable().default(null),
    country: Country,
    vat_id: z.string().max(40).nullable().default(null),
    registration: z.string().max(100).nullable().default(null),
    email: z.email().nullable().default(null),
    electronic_address: z
      .strictObject({ scheme: z.string().max(10), address: z.string().max(200) })
      .nullable()
      .default(null),
    bank: z
      .strictObject({
        iban: z.string().max(34),
        bic: z.string().max(11).nullable().default(null),
        holder: Name,
      })
      .nullable()
      .default(null),
    brand: z.strictObject({
      name: Name,
      color: z.string().regex(/^#[0-9a-f]{6}$/, "write six hexadecimal digits, as in #0b5cad"),
      footer: z.string().max(300).default(""),
    }),
    tax: z
      .enum(["none", "collects"])
      .openapi({ description: "`none`: not registered for tax, and every document says so." }),
    prices_include_tax: z.boolean().default(false),
    rounding: z.enum(["document", "line"]).default("document"),
    registered_in: z
      .array(
        z.strictObject({ country: Country, region: z.string().max(10).nullable().default(null) }),
      )
      .max(100)
      .default([]),
    accounting_currency: CurrencyCode.nullable().default(null),
  })
  .openapi("NewLegalEntity");

export const EntityView = EntityBody.extend({ code: z.string() }).openapi("LegalEntity");

export const entityFrom = (code: string, body: z.output<typeof EntityBody>): LegalEntity => ({
  code,
  name: body.name,
  street: body.street,
  city: body.city,
  postcode: body.postcode,
  region: body.region,
  country: body.country,
  vatId: body.vat_id,
  registration: body.registration,
  email: body.email,
  electronicAddress: body.electronic_address,
  bank: body.bank,
  brand: body.brand,
  tax: body.tax,
  pricesIncludeTax: body.prices_include_tax,
  rounding: body.rounding,
  registeredIn: body.registered_in,
  accountingCurrency: body.accounting_currency as LegalEntity["accountingCurrency"],
});

export const entityView = (entity: LegalEntity): z.input<typeof EntityView> => ({
  code: entity.code,
  name: entity.name,
  street: entity.street,
  city: entity.city,
  postcode: entity.postcode,
  region: entity.region,
  country: entity.country,
  vat_id: entity.vatId,
  registration: entity.registration,
  email: entity.email,
  electronic_address: entity.electronicAddress,
  bank: entity.bank,
  brand: entity.brand,
  tax: entity.tax,
  prices_include_tax: entity.pricesIncludeTax,
  rounding: entity.rounding,
  registered_in: [...entity.registeredIn],
  accounting_currency: entity.accountingCurrency,
});

export const TaxRateBody = z
  .strictObject({
    country: Country,
    region: z.string().max(10).nullable().default(null),
    product_class: Slug.default("standard"),
    name: Name.openapi({ example: "VAT" }),
    percent: DecimalText,
    from: DayText,
    until: DayText.nullable().default(null),
  })
  .openapi("TaxRate");

export const taxRateView = (rate: TaxRate): z.input<typeof TaxRateBody> => ({
  country: rate.country,
  region: rate.region,
  product_class: rate.productClass,
  name: rate.name,
  percent: formatDecimal(rate.percent),
  from: rate.from,
  until: rate.until,
});

export const FxRateBody = z
  .strictObject({
    from: CurrencyCode,
    to: CurrencyCode,
    on: DayText,
    rate: DecimalText,
    source: Name.openapi({ example: "ECB" }),
  })
  .openapi("FxRate");
export const fxRateView = (rate: FxRate): z.input<typeof FxRateBody> => ({
  from: rate.from,
  to: rate.to,
  on: rate.on,
  rate: formatDecimal(rate.rate),
  source: rate.source,
});

export const CertificateBody = z
  .strictObject({
    country: Country,
    certificate: z.string().min(1).max(100),
    from: DayText,
    until: DayText.nullable().default(null),
  })
  .openapi("TaxCertificate");
export const TaxIdBody = z
  .strictObject({ tax_id: z.string().min(2).max(40).openapi({ example: "DE136695976" }) })
  .openapi("NewTaxIdCheck");
export const TaxIdCheckView = z
  .strictObject({
    tax_id: z.string(),
    valid: z.boolean(),
    method: z.string(),
    evidence: z.unknown(),
  })
  .openapi("TaxIdCheck");

export const day = (text: string) => dayOf(text);
