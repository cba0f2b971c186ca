import { statementOf } from "../../domain/rating/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import { estimatePrice } from "../../flows/estimate-price.ts";
import { EstimateBody, EstimateView, estimateView, rowsOf } from "../contract/rating.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const estimate = endpoint({
  method: "POST",
  path: "/v1/rating/estimate",
  id: "estimatePrice",
  group: "Rating",
  summary: "Ask what usage would cost under a price",
  description:
    "Prices one quantity, or several rows of usage together, with the price document of the request. Nothing is stored. " +
    "The same rating as invoices: every segment is unit price × quantity, exactly.",
  permission: "rating.estimate",
  body: EstimateBody,
  response: EstimateView,
  problems: ["price_not_valid", "usage_not_ratable"],
  run: (_env, { body }) => estimateView(statementOf(estimated(body.price, rowsOf(body)))),
});

// The price is one member of the body: what is wrong with it is named from there.
function estimated(price: unknown, rows: unknown) {
  try {
    return estimatePrice(price, rows).rated;
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "price_not_valid") throw error;
    const faults = error.faults.map((fault) => ({ ...fault, pointer: `/price${fault.pointer}` }));
    throw new Problem(error.code, error.message, { faults });
  }
}

export const ratingRoutes: readonly Endpoint[] = [estimate];
