import { z } from "@hono/zod-openapi";
import { Problem } from "../../domain/refusals/index.ts";
import { takeNotification } from "../../flows/take-notification.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const notified = endpoint({
  method: "POST",
  path: "/v1/payment-notifications",
  id: "notifyPayment",
  group: "Payments",
  summary: "Take in what became of a charge, from the payment processor",
  description:
    "Signed as Standard Webhooks are (webhook-id, webhook-timestamp, webhook-signature). Told twice, or late, it changes nothing more.",
  permission: null,
  rawBody: {
    "application/json": z.strictObject({
      key: z.string(),
      status: z.enum(["succeeded", "declined"]),
      reference: z.string().optional(),
      reason: z.string().optional(),
    }),
  },
  response: null,
  problems: ["signature_not_valid"],
  atomic: false,
  run: async (env, { headers, raw }) => {
    const taken = await takeNotification(env, {
      id: headers.get("webhook-id") ?? "",
      timestamp: headers.get("webhook-timestamp") ?? "",
      signature: headers.get("webhook-signature") ?? "",
      body: new TextDecoder().decode(raw.bytes),
    });
    if (taken === "not_genuine") throw new Problem("signature_not_valid");
    return null;
  },
});

export const paymentNotificationRoutes: readonly Endpoint[] = [notified];
