import { day, shift } from "../kit/time.ts";
import { forgetAnswers as deleteAnswers } from "../store/idempotency.ts";
import type { Env } from "./env.ts";

/** What the contract promises to keep answers to keyed requests for. */
const keptMicros = 30 * day;

/** Forget the answers to keyed requests that are older than promised. */
export async function forgetAnswers(env: Env): Promise<number> {
  return deleteAnswers(env.store.db, shift(env.now(), -keptMicros));
}
