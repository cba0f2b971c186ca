import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { ChargeOutcome } from "../domain/payments/index.ts";
import { signatureOf } from "./payment-notification.ts";
import { fateOf, type PaymentFaults } from "./simulated-payments.ts";

export type ProcessorOptions = {
  /** 0: any free one. */
  readonly port: number;
  readonly secret: string;
  readonly faults: PaymentFaults;
  readonly random: { below(limit: number): number };
  /** Charges are kept here, one a line, so that the processor may be stopped too. */
  readonly file?: string | undefined;
  /** Where to tell what became of a charge, and how many times. */
  readonly notify?: { readonly url: string; readonly times: number } | undefined;
  readonly nowSeconds: () => number;
};

type Charge = { readonly key: string; readonly amount: string; readonly outcome: ChargeOutcome };

/** A card processor to try things with, that speaks what `httpPayments` speaks: one charge per key, whatever gets lost. */
export type SimulatedProcessor = {
  readonly url: string;
  readonly charges: ReadonlyMap<string, Charge>;
  close(): Promise<void>;
};

export async function startSimulatedProcessor(
  options: ProcessorOptions,
): Promise<SimulatedProcessor> {
  const charges = new Map<string, Charge>();
  const { file } = options;
  if (file !== undefined && existsSync(file))
    for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
      const charge = JSON.parse(line) as Charge;
      charges.set(charge.key, charge);
    }

  const charge = (key: string, amount: string, fate: "declines" | "succeeds") => {
    const outcome: ChargeOutcome =
      fate === "declines"
        ? { kind: "declined", reason: "card_declined" }
        : { kind: "succeeded", reference: `sim_${charges.size + 1}` };
    const made = { key, amount, outcome };
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(made)}\n`, { flush: true });
    charges.set(key, made);
    void notify(options, key, outcome);
  };

  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await textOf(request);
    if (request.headers.authorization !== `Bearer ${options.secret}`) return answer(response, 401);
    const asked = /^\/charges\/([^/]+)$/.exec(request.url ?? "")?.[1];
    if (request.method === "GET" && asked !== undefined) {
      const known = charges.get(decodeURIComponent(asked));
      return known ? answer(response, 200, said(known.outcome)) : answer(response, 404);
    }
    const key = request.headers["idempotency-key"];
    if (
      request.method !== "POST" ||
      !/^\/(charges|refunds)$/.test(request.url ?? "") ||
      typeof key !== "string"
    )
      return answer(response, 404);
    const fate = charges.has(key) ? "succeeds" : fateOf(options.random, options.faults);
    if (fate === "loses_request") return request.destroy();
    if (!charges.has(key)) {
      const { amount } = JSON.parse(body) as { amount: string };
      charge(key, amount, fate === "declines" ? "declines" : "succeeds");
    }
    if (fate === "loses_answer") return request.destroy();
    return answer(response, 200, said((charges.get(key) as Charge).outcome));
  };
  const server = createServer((request, response) => {
    take(request, response).catch(() => request.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(options.port, "127.0.0.1", resolve);
  });
  const bound = server.address();
  return {
    url: `http://127.0.0.1:${typeof bound === "object" && bound ? bound.port : options.port}`,
    charges,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const said = ({ kind: status, ...rest }: ChargeOutcome) => ({ status, ...rest });

/** Tell, as often as asked: a receiver must bear hearing it twice, or never. */
async function notify(
  options: ProcessorOptions,
  key: string,
  outcome: ChargeOutcome,
): Promise<void> {
  const { url = "", times = 0 } = options.notify ?? {};
  const timestamp = String(options.nowSeconds());
  const message = { id: `msg_${key}`, timestamp, body: JSON.stringify({ key, ...said(outcome) }) };
  for (let n = 0; n < times; n++)
    await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signatureOf(options.secret, message),
      },
      body: message.body,
      signal: AbortSignal.timeout(5_000),
    }).catch(() => undefined);
}

function answer(response: ServerResponse, status: number, body: unknown = {}): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}
