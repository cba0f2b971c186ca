import { Problem } from "../domain/refusals/index.ts";
import type { Env } from "../flows/env.ts";
import { canonicalJson } from "../kit/canonical-json.ts";
import { sha256 } from "../kit/hash.ts";
import { second } from "../kit/time.ts";
import {
  claimKey,
  type KeyedRequest,
  releaseKey,
  type StoredAnswer,
  saveAnswer,
} from "../store/idempotency.ts";
import { transaction } from "../store/transaction.ts";
import { problemBody, problemContentType, statuses } from "./problems.ts";

/** After this time a claim without an answer counts as left behind by a process that is gone. */
const leaseMicros = 60 * second;

/** Read the header: a structured-field string, or the bare text that most clients send. */
export function readIdempotencyKey(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  const key = /^"(.*)"$/.exec(text)?.[1]?.replace(/\\(["\\])/g, "$1") ?? text;
  if (!/^[\x20-\x7e]{1,255}$/.test(key)) throw new Problem("idempotency_key_not_valid");
  return key;
}

/** What must be the same for two requests to be the same one. */
export function requestHash(method: string, address: string, body: unknown): Buffer {
  return sha256(`${method} ${address}\n${bodyText(body)}`);
}

function bodyText(body: unknown): string {
  if (body === undefined) return "";
  try {
    return canonicalJson(body);
  } catch {
    return JSON.stringify(body);
  }
}

/**
 * Run work at most once for a key.
 *
 * The claim is taken first, in a statement of its own, so that a second request sees that the first is running. An atomic
 * piece of work then runs in one transaction with the answer it stores: whatever dies, either both are there or neither. A
 * process that crashed leaves a claim that is taken over after the lease; had it only slept, its own answer no longer
 * finds its claim, and its transaction is rolled back.
 *
 * Refusals (4xx) are answers too and are stored; they have no effect. 5xx and "wait" let go of the key instead.
 */
export async function once(
  env: Env,
  installationNow: () => ReturnType<Env["now"]>,
  keyed: KeyedRequest,
  requestId: string,
  atomic: boolean,
  work: (env: Env) => Promise<StoredAnswer>,
): Promise<{ answer: StoredAnswer; replayed: boolean }> {
  const { db } = env.store;
  const claim = await claimKey(db, keyed, installationNow(), leaseMicros);
  switch (claim.kind) {
    case "answered":
      return { answer: claim.answer, replayed: true };
    case "in_flight":
      throw new Problem("idempotency_key_in_flight", undefined, { facts: { retry_after: 1 } });
    case "mismatch":
      throw new Problem("idempotency_key_reused");
    case "claimed":
      break;
  }
  try {
    const run = async (inner: Env): Promise<StoredAnswer> => {
      const answer = await work(inner);
      if (!(await saveAnswer(inner.store.db, keyed, answer)))
        throw new Problem("idempotency_key_in_flight", undefined, { facts: { retry_after: 1 } });
      return answer;
    };
    const answer = atomic
      ? await transaction(db, (tx) => run({ ...env, store: { ...env.store, db: tx } }))
      : await run(env);
    return { answer, replayed: false };
  } catch (error) {
    if (error instanceof Problem && isFinal(error)) {
      const answer = refusalAnswer(error, requestId);
      await saveAnswer(db, keyed, answer);
      throw error;
    }
    await releaseKey(db, keyed).catch(() => {});
    throw error;
  }
}

function isFinal(problem: Problem): boolean {
  const status = statuses[problem.code];
  return (
    status >= 400 && status < 500 && status !== 429 && problem.code !== "idempotency_key_in_flight"
  );
}

function refusalAnswer(problem: Problem, requestId: string): StoredAnswer {
  return {
    status: statuses[problem.code],
    headers: { "content-type": problemContentType },
    body: JSON.stringify(problemBody(problem, requestId)),
  };
}
