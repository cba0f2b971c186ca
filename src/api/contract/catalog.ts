import { z } from "@hono/zod-openapi";
import type { CatalogStep } from "../../domain/catalog/index.ts";
import type { CatalogPlan } from "../../flows/apply-catalog.ts";
import type { ShopView } from "../../flows/browse-catalog.ts";
import { InstantText, Reason } from "./common.ts";

/** The members of a document are checked by the catalog's own reader, which names every fault. */
export const CatalogDocument = z.record(z.string(), z.unknown()).openapi("CatalogDocument", {
  description:
    "One thing of the catalog, written as in catalog files: see docs/catalog.md and examples/catalog/catalog.schema.json. " +
    "Amounts are decimal texts.",
});

export const CatalogItemView = z
  .strictObject({
    object: z.literal("catalog_item"),
    kind: z.string().openapi({ example: "sku" }),
    name: z.string().openapi({ example: "USAGE-SMS-1000" }),
    document: CatalogDocument,
  })
  .openapi("CatalogItem");

export const CatalogFilesBody = z
  .strictObject({
    files: z
      .array(z.strictObject({ name: z.string().min(1).max(200), document: CatalogDocument }))
      .min(1)
      .max(200),
    reason: Reason.optional(),
  })
  .openapi("CatalogFiles", { description: "A whole catalog, spread over files as one likes." });

const Step = z
  .strictObject({
    kind: z.string(),
    name: z.string(),
    act: z.enum(["add", "change", "remove", "refuse", "keep"]),
    document: CatalogDocument.optional(),
    fields: z
      .array(z.strictObject({ field: z.string(), before: z.unknown(), after: z.unknown() }))
      .optional(),
    why: z.string().optional(),
  })
  .openapi("CatalogStep");

export const CatalogPlanView = z
  .strictObject({
    object: z.literal("catalog_plan"),
    applied: z.boolean(),
    changes: z.array(Step),
    warnings: z.array(z.string()),
  })
  .openapi("CatalogPlan");

export const catalogPlanView = (
  plan: CatalogPlan,
  applied: boolean,
): z.input<typeof CatalogPlanView> => ({
  object: "catalog_plan",
  applied,
  changes: plan.diff.steps.map(stepView),
  warnings: [...plan.warnings],
});

const stepView = (step: CatalogStep): z.input<typeof Step> => ({
  kind: step.kind,
  name: step.name,
  act: step.act,
  ...("document" in step && { document: { ...step.document } }),
  ...("fields" in step && { fields: step.fields.map((field) => ({ ...field })) }),
  ...("why" in step && { why: step.why }),
});

export const ProposalView = z
  .strictObject({
    id: z.string(),
    object: z.literal("catalog_proposal"),
    created_at: InstantText,
    status: z.enum(["open", "approved", "rejected"]),
    author: z.string(),
    decided_by: z.string().nullable(),
    reason: z.string(),
    plan: CatalogPlanView.nullable(),
  })
  .openapi("CatalogProposal");

export const CatalogSettings = z
  .strictObject({
    two_person_publication: z.boolean().openapi({
      description: "Prices and plan versions are published only when another person approves them.",
    }),
  })
  .openapi("CatalogSettings");

const PriceInForce = z
  .strictObject({
    price: CatalogDocument,
    effective_from: InstantText,
    book: z.string(),
    found_by: z
      .array(z.string())
      .openapi({ description: "How the price was found, book by book." }),
  })
  .openapi("PriceInForce");

export const ShopCatalogView = z
  .strictObject({
    object: z.literal("catalog"),
    book: z.string(),
    services: z.array(
      z.strictObject({
        key: z.string().nullable(),
        name: z.string(),
        description: z.string(),
        skus: z.array(
          z.strictObject({
            code: z.string(),
            name: z.string(),
            kind: z.string(),
            document: CatalogDocument,
            meter: CatalogDocument.nullable(),
            price: PriceInForce.nullable(),
          }),
        ),
      }),
    ),
    plans: z.array(
      z.strictObject({
        key: z.string(),
        name: z.string(),
        kind: z.enum(["plan", "add_on"]),
        price_on_request: z.boolean().openapi({ description: "Contact us." }),
        version: CatalogDocument,
      }),
    ),
  })
  .openapi("ShopCatalog");

export const shopView = (shop: ShopView): z.input<typeof ShopCatalogView> => ({
  object: "catalog",
  ...shop,
});
