import type { ChargeOutcome, ChargeRequest, PaymentGateway } from "../domain/payments/index.ts";
import { formatMoney } from "../kit/money.ts";
import { isGenuine } from "./payment-notification.ts";

export type ProcessorAddress = {
  /** "https://payments.example/v1": charges stand at /charges below it. */
  readonly url: string;
  /** Sent as a bearer token, and what notifications are signed with. */
  readonly secret: string;
  /** Milliseconds to wait for an answer before it counts as lost. */
  readonly timeoutMs?: number;
};

/**
 * A card processor, or the adapter in front of one, over HTTP:
 *
 *     POST /charges          Idempotency-Key: pur_…   {"account","amount","currency","description"}
 *     POST /refunds          the same
 *     GET  /charges/{key}    also of a refund
 *
 * answer `{"status": "succeeded", "reference"}` or `{"status": "declined", "reason"}`; 404 to the last means that there is no
 * charge of that key. No answer, an answer of another shape, and every other status are `unknown`: the money may have moved,
 * so nothing is concluded. Card numbers never come this way.
 */
export function httpPayments({
  url,
  secret,
  timeoutMs = 10_000,
}: ProcessorAddress): PaymentGateway {
  const ask = async (path: string, init: Asked): Promise<ChargeOutcome | undefined> => {
    try {
      const answer = await fetch(`${url.replace(/\/$/, "")}${path}`, {
        ...init,
        headers: { authorization: `Bearer ${secret}`, ...init.headers },
        redirect: "error",
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (answer.status === 404 && init.method === "GET") return undefined;
      return answer.ok ? readOutcome(await answer.json()) : { kind: "unknown" };
    } catch {
      return { kind: "unknown" };
    }
  };
  const send = async (path: string, request: ChargeRequest): Promise<ChargeOutcome> =>
    (await ask(path, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": request.key },
      body: JSON.stringify(bodyOf(request)),
    })) ?? { kind: "unknown" };
  return {
    name: "card",
    find: (key) => ask(`/charges/${encodeURIComponent(key)}`, { method: "GET" }),
    charge: (request) => send("/charges", request),
    refund: (request) => send("/refunds", request),
    readNotification(message, nowSeconds) {
      if (!isGenuine(message, secret, nowSeconds)) return undefined;
      const said = parsed(message.body);
      const { key } = (said ?? {}) as Record<string, unknown>;
      return typeof key === "string" ? { key, outcome: readOutcome(said) } : undefined;
    },
  };
}

type Asked = Pick<RequestInit, "method" | "body"> & {
  readonly headers?: Readonly<Record<string, string>>;
};

const bodyOf = ({ accountId, amount, description }: ChargeRequest) => ({
  account: accountId,
  amount: formatMoney(amount),
  currency: amount.currency,
  description,
});

/** What a processor says of a charge; anything that cannot be read is unknown. */
function readOutcome(said: unknown): ChargeOutcome {
  const { status, reference, reason } = (said ?? {}) as Record<string, unknown>;
  if (status === "succeeded" && typeof reference === "string" && reference !== "")
    return { kind: "succeeded", reference };
  if (status === "declined")
    return { kind: "declined", reason: typeof reason === "string" ? reason : "declined" };
  return { kind: "unknown" };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
