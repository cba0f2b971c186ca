import { z } from "@hono/zod-openapi";
import { formatInstant } from "../../kit/time.ts";
import type { Balance } from "../../flows/record-payment.ts";
import type { Payment } from "../../store/payments.ts";
import { CurrencyCode, DecimalText, InstantText, MoneyView, moneyView } from "./common.ts";
import { DayText } from "./taxes.ts";

export const PaymentBody = z
  .strictObject({
    amount: DecimalText.openapi({ description: "In the currency of the invoice." }),
    currency: CurrencyCode,
    received_on: DayText,
    reference: z.string().min(1).max(140).openapi({
      description: "How the bank or the payer names it; the same one twice is refused.",
      example: "SEPA 2025-02-13 4471",
    }),
  })
  .openapi("NewPayment");

export const PaymentView = z
  .strictObject({
    id: z.string(),
    amount: MoneyView,
    applied: MoneyView,
    discount: MoneyView.openapi({ description: "Forgiven for paying early." }),
    excess: MoneyView.openapi({ description: "Too much; held for the payer." }),
    received_on: DayText,
    reference: z.string(),
    recorded_at: InstantText,
  })
  .openapi("Payment");

export const BalanceView = z
  .strictObject({
    invoice: z.string(),
    number: z.string(),
    status: z.string(),
    total: MoneyView,
    credited: MoneyView,
    from_credit: MoneyView.openapi({ description: "Taken from the account's credit." }),
    open: MoneyView,
    disputed: MoneyView.openapi({ description: "Under dispute and undecided, with its tax." }),
    askable: MoneyView.openapi({ description: "What may be asked for now: open less disputed." }),
    payments: z.array(PaymentView),
  })
  .openapi("InvoiceBalance");

const paymentView = (payment: Payment): z.input<typeof PaymentView> => ({
  id: payment.paymentId,
  amount: moneyView(payment.amount),
  applied: moneyView(payment.applied),
  discount: moneyView(payment.discount),
  excess: moneyView(payment.excess),
  received_on: payment.receivedOn,
  reference: payment.reference,
  recorded_at: formatInstant(payment.recordedAt),
});

export const balanceView = ({
  invoice,
  payments,
  credited,
  fromCredit,
  open,
  disputed,
  askable,
}: Balance): z.input<typeof BalanceView> => ({
  invoice: invoice.invoiceId,
  number: invoice.number ?? "",
  status: invoice.status,
  total: moneyView(invoice.total),
  credited: moneyView(credited),
  from_credit: moneyView(fromCredit),
  open: moneyView(open),
  disputed: moneyView(disputed),
  askable: moneyView(askable),
  payments: payments.map(paymentView),
});
