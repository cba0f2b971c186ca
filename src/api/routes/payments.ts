import { Problem } from "../../domain/refusals/index.ts";
import { readBalance, recordPayment } from "../../flows/record-payment.ts";
import { currency } from "../../kit/currency.ts";
import { decimal, isPositive } from "../../kit/decimal.ts";
import { type Money, parseMoney } from "../../kit/money.ts";
import { day } from "../contract/taxes.ts";
import { BalanceView, balanceView, PaymentBody } from "../contract/payments.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { InvoiceParam } from "./invoices.ts";

const group = "Payments";
const path = "/v1/organizations/{organization}/invoices/{invoice}/payments";

const record = endpoint({
  method: "POST",
  path,
  id: "recordPayment",
  group,
  summary: "Record that money for an invoice came in",
  description:
    "All of it, a part, or too much. Where the terms of the invoice offer an early-payment discount and it was earned, it settles the rest. What is too much is held for the payer.",
  permission: "payments.write",
  params: InvoiceParam,
  body: PaymentBody,
  response: BalanceView,
  success: 201,
  problems: [
    "invoice_not_found",
    "invoice_paid_by_another",
    "invoice_status_conflict",
    "payment_recorded",
  ],
  run: async (env, { organization: { id }, params, body, author, now }) => {
    const { invoice } = await readBalance(env.store.db, id, params.invoice);
    if (body.currency !== invoice.total.currency)
      throw fault("/currency", `${invoice.number} is in ${invoice.total.currency}`);
    const order = {
      orgId: id,
      invoice: invoice.invoiceId,
      amount: amountOf(body.amount, body.currency),
      receivedOn: day(body.received_on),
      reference: body.reference,
    };
    return balanceView((await recordPayment(env, order, author, now)).balance);
  },
});

const read = endpoint({
  method: "GET",
  path,
  id: "getInvoiceBalance",
  group,
  summary: "See what was paid, forgiven and credited of an invoice, and what is open",
  permission: "payments.read",
  params: InvoiceParam,
  response: BalanceView,
  problems: ["invoice_not_found"],
  run: async (env, { organization: { id }, params }) =>
    balanceView(await readBalance(env.store.db, id, params.invoice)),
});

const fault = (pointer: string, detail: string) =>
  new Problem("request_not_valid", detail, { faults: [{ pointer, detail }] });

function amountOf(text: string, code: string): Money {
  if (!isPositive(decimal(text))) throw fault("/amount", "write an amount above zero");
  try {
    return parseMoney(text, currency(code));
  } catch (error) {
    if (error instanceof RangeError) throw fault("/amount", error.message);
    throw error;
  }
}

export const paymentRoutes: readonly Endpoint[] = [record, read];
