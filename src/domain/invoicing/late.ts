import type { LateUsagePolicy } from "../catalog/index.ts";
import { type Decimal, equal } from "../../kit/decimal.ts";
import type { Line } from "./difference.ts";

/** The way onto paper of usage that arrived after its period was invoiced. */
export const lateRoutes = ["next_invoice", "own_document", "hold"] as const;
export type LateRoute = (typeof lateRoutes)[number];

/** A difference that somebody approved to go onto the next invoice: this figure, and no other. */
export type ApprovedLate = { readonly quantity: Decimal; readonly amountMinor: bigint };

/** What decides the way of a difference of an older period. */
export type LateFacts = {
  readonly policy: LateUsagePolicy;
  /** Whether the period, or one after it, was invoiced before: else nothing about it is late, it was only never asked for. */
  readonly isClosed: boolean;
  /** Whether the period has an invoice that stands: a note of its own needs one to correct. */
  readonly isInvoiced: boolean;
  readonly approved: ApprovedLate | undefined;
};

/**
 * Decide by which way a difference of an older period goes out. One that comes to nothing in money always goes onto the next
 * invoice: there is nothing to approve and no document to write. What was approved and has grown since waits again.
 */
export function lateRoute(
  line: Pick<Line, "quantity" | "amount">,
  { policy, isClosed, isInvoiced, approved }: LateFacts,
): LateRoute {
  const { minor } = line.amount;
  if (!isClosed || minor === 0n) return "next_invoice";
  switch (policy) {
    case "next_invoice":
      return "next_invoice";
    case "credit_note":
      return minor < 0n && isInvoiced ? "own_document" : "next_invoice";
    case "own_document":
      return isInvoiced ? "own_document" : "next_invoice";
    case "hold":
      return approved && approved.amountMinor === minor && equal(approved.quantity, line.quantity)
        ? "next_invoice"
        : "hold";
  }
}

/**
 * Which differences a document leaves to others, and by which way those go. An argument, because a document of old says itself
 * what it left out.
 */
export type LeaveOut = (line: Line) => LateRoute | undefined;
