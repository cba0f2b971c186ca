import type { ChargeOutcome, ChargeRequest, PaymentGateway } from "../domain/payments/index.ts";

/** How often, of a hundred charges, each fault happens. */
export type PaymentFaults = {
  readonly declinedPercent: number;
  /** The charge is made, and the answer gets lost on the way back. */
  readonly lostAnswerPercent: number;
  /** The request gets lost: no charge is made. */
  readonly lostRequestPercent: number;
};

export type Fate = "succeeds" | "declines" | "loses_answer" | "loses_request";

/** What the next charge meets, drawn from the seed. */
export function fateOf(random: { below(limit: number): number }, faults: PaymentFaults): Fate {
  const dice = random.below(100);
  if (dice < faults.declinedPercent) return "declines";
  if (dice < faults.declinedPercent + faults.lostAnswerPercent) return "loses_answer";
  const all = faults.declinedPercent + faults.lostAnswerPercent + faults.lostRequestPercent;
  return dice < all ? "loses_request" : "succeeds";
}

/** A processor that lives in memory: one charge or refund per key, faults drawn from a seed, and notifications on demand. */
export type SimulatedPayments = PaymentGateway & {
  readonly charges: readonly (ChargeRequest & { readonly reference: string })[];
  readonly refunds: readonly (ChargeRequest & { readonly reference: string })[];
  /** Set what the next charge meets, before the seed is asked. */
  next(outcome: "succeeds" | "declines" | "loses_answer" | "loses_request"): void;
};

export function simulatedPayments(
  random: { below(limit: number): number },
  faults: PaymentFaults = { declinedPercent: 0, lostAnswerPercent: 0, lostRequestPercent: 0 },
): SimulatedPayments {
  const charges: (ChargeRequest & { reference: string })[] = [];
  const refunds: (ChargeRequest & { reference: string })[] = [];
  const outcomes = new Map<string, ChargeOutcome>();
  const planned: string[] = [];

  async function meet(
    request: ChargeRequest,
    done: (ChargeRequest & { reference: string })[],
    prefix: string,
  ): Promise<ChargeOutcome> {
    const known = outcomes.get(request.key);
    if (known) return known;
    const fate = planned.shift() ?? fateOf(random, faults);
    if (fate === "loses_request") return { kind: "unknown" };
    if (fate === "declines") {
      const declined: ChargeOutcome = { kind: "declined", reason: "card_declined" };
      outcomes.set(request.key, declined);
      return declined;
    }
    const reference = `${prefix}_${done.length + 1}`;
    done.push({ ...request, reference });
    outcomes.set(request.key, { kind: "succeeded", reference });
    return fate === "loses_answer" ? { kind: "unknown" } : { kind: "succeeded", reference };
  }

  return {
    name: "simulated",
    charges,
    refunds,
    next: (outcome) => void planned.push(outcome),
    find: async (key) => outcomes.get(key),
    charge: (request) => meet(request, charges, "sim"),
    refund: (request) => meet(request, refunds, "sim_refund"),
  };
}
