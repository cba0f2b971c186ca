import { system } from "../domain/audit/index.ts";
import type { SignedMessage } from "../domain/payments/index.ts";
import { second } from "../kit/time.ts";
import { findPurchaseById } from "../store/purchases.ts";
import { settlePurchase } from "./buy-batch.ts";
import type { Env } from "./env.ts";

/**
 * Take in a notification of the payment processor: what became of a charge settles its purchase, once, whoever says it first.
 * One about a purchase we do not have is taken in as well, so that nobody repeats it for ever.
 */
export async function takeNotification(
  env: Env,
  message: SignedMessage,
): Promise<"taken" | "not_genuine"> {
  const said = env.payments?.readNotification?.(message, Math.floor(env.now() / second));
  if (!said) return "not_genuine";
  const order = await findPurchaseById(env.store.db, said.key);
  if (order) await settlePurchase(env, system("payments"), order.orgId, order.id, said.outcome);
  return "taken";
}
