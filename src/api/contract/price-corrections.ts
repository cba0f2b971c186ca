import { z } from "@hono/zod-openapi";
import { type Rerate, rerateTotal } from "../../flows/rerate.ts";
import { formatInstant } from "../../kit/time.ts";
import { formatMoney } from "../../kit/money.ts";
import { CatalogDocument } from "./catalog.ts";
import { CurrencyCode, InstantIn, InstantText, Reason } from "./common.ts";

const Amount = z.string().openapi({
  description: "Major units of the currency, with exactly its digits; below zero is given back.",
  example: "-12.00",
});

export const PriceCorrectionBody = z
  .strictObject({
    book: z.string().min(1).max(80).openapi({ example: "retail-usd" }),
    sku: z.string().min(1).max(80).openapi({ example: "USAGE-SMS-OVERAGE" }),
    starts_at: InstantIn,
    ends_at: InstantIn.openapi({ description: "Not included; not after now." }),
    price: CatalogDocument.openapi({
      description: "The price that should have held, as in a catalog, without book, sku and date.",
    }),
    reason: Reason,
  })
  .openapi("PriceCorrectionRequest");

export const PriceCorrectionView = z
  .strictObject({
    id: z.string(),
    object: z.literal("price_correction"),
    created_at: InstantText,
    status: z.enum(["open", "approved", "rejected"]),
    book: z.string(),
    sku: z.string(),
    starts_at: InstantText,
    ends_at: InstantText,
    price: CatalogDocument,
    reason: z.string(),
    author: z.string(),
    decided_by: z.string().nullable(),
    currency: CurrencyCode.nullable().openapi({ description: "Null when nobody is affected." }),
    total: Amount.nullable().openapi({ description: "The sum over all accounts, tax included." }),
    effects: z.array(
      z
        .strictObject({
          organization: z.string(),
          account: z.string(),
          invoice: z.string(),
          subtotal: Amount,
          tax: Amount,
          total: Amount,
          note: z.string().nullable().openapi({
            description: "The credit or debit note that came of it; null until it is approved.",
          }),
        })
        .openapi("PriceCorrectionEffect"),
    ),
    obstacles: z
      .array(z.strictObject({ invoice: z.string(), because: z.string() }))
      .openapi({ description: "Invoices that are left out, and why. Told when it is prepared." }),
  })
  .openapi("PriceCorrection");

export function priceCorrectionView(rerate: Rerate): z.input<typeof PriceCorrectionView> {
  const { correction, effects, obstacles } = rerate;
  const total = rerateTotal(rerate);
  return {
    id: correction.correctionId,
    object: "price_correction",
    created_at: formatInstant(correction.createdAt),
    status: correction.status,
    book: correction.book,
    sku: correction.skuCode,
    starts_at: formatInstant(correction.span.startsAt),
    ends_at: formatInstant(correction.span.endsAt),
    price: correction.definition as Record<string, unknown>,
    reason: correction.reason,
    author: correction.author,
    decided_by: correction.decidedBy,
    currency: total?.currency ?? null,
    total: total && formatMoney(total),
    effects: effects.map((effect) => ({
      organization: effect.orgId,
      account: effect.accountId,
      invoice: effect.invoiceId,
      subtotal: formatMoney(effect.subtotal),
      tax: formatMoney(effect.tax),
      total: formatMoney(effect.total),
      note: effect.noteId,
    })),
    obstacles: [...obstacles],
  };
}
