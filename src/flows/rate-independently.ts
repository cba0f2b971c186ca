import { type Rate, ratePrimary } from "../domain/invoicing/index.ts";

/** The rating that checks invoices. */
export const rateIndependently: Rate = ratePrimary;
