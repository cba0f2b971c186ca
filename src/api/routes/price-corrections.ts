import { z } from "@hono/zod-openapi";
import { decideRerateProposal, getRerate, proposeRerate } from "../../flows/rerate.ts";
import { Reason } from "../contract/common.ts";
import {
  PriceCorrectionBody,
  PriceCorrectionView,
  priceCorrectionView,
} from "../contract/price-corrections.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Catalog";
const CorrectionParam = z.object({
  correction: z.string().min(1).max(80).openapi({ example: "chg_01jz8v5w9k2m4n6p8q0r" }),
});

const propose = endpoint({
  method: "POST",
  path: "/v1/price-corrections",
  id: "proposePriceCorrection",
  group,
  summary:
    "Prepare a corrected price for a time that is over, and see what it gives back or asks for",
  description:
    "Every invoice of the time is priced anew with the usage its documents knew, and the difference shown per account, tax included. Nothing is billed until another person approves it.",
  permission: "catalog.write",
  body: PriceCorrectionBody,
  response: PriceCorrectionView,
  success: 201,
  problems: ["price_not_valid"],
  run: async (env, { author, body }) =>
    priceCorrectionView(
      await proposeRerate(env, author, {
        book: body.book,
        sku: body.sku,
        span: { startsAt: body.starts_at, endsAt: body.ends_at },
        price: body.price,
        reason: body.reason,
      }),
    ),
});

const get = endpoint({
  method: "GET",
  path: "/v1/price-corrections/{correction}",
  id: "getPriceCorrection",
  group,
  summary: "See a corrected price, its amounts and its documents",
  permission: "catalog.write",
  params: CorrectionParam,
  response: PriceCorrectionView,
  problems: ["proposal_not_found"],
  run: async (env, { params }) => priceCorrectionView(await getRerate(env, params.correction)),
});

const decide = (verdict: "approved" | "rejected", word: "approve" | "reject") =>
  endpoint({
    method: "POST",
    path: `/v1/price-corrections/{correction}/${word}`,
    id: `${word}PriceCorrection`,
    group,
    summary:
      word === "approve"
        ? "Approve a corrected price that somebody else prepared, and issue its documents"
        : "Reject a corrected price that somebody else prepared",
    description:
      "All documents are issued together with the decision, or none. Where an amount is not the one that was shown, nothing happens.",
    permission: "catalog.approve",
    params: CorrectionParam,
    body: z.strictObject({ reason: Reason.optional() }),
    response: PriceCorrectionView,
    problems: [
      "proposal_not_found",
      "proposal_decided",
      "catalog_self_approval",
      "rerate_stale",
      "invoice_not_verified",
    ],
    run: async (env, { author, params, body }) =>
      priceCorrectionView(
        await decideRerateProposal(
          env,
          { ...author, reason: body.reason ?? author.reason },
          params.correction,
          verdict,
        ),
      ),
  });

export const priceCorrectionRoutes: readonly Endpoint[] = [
  propose,
  get,
  decide("approved", "approve"),
  decide("rejected", "reject"),
];
