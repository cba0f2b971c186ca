import { z } from "@hono/zod-openapi";
import { formatInstant } from "../../kit/time.ts";
import { mailStatuses, type OutboxMail } from "../../store/mail-outbox.ts";
import { InstantText } from "./common.ts";

export const MailParam = z.object({
  mail: z
    .string()
    .min(1)
    .max(80)
    .openapi({ description: "Id of the mail.", example: "msg_0a1b2c" }),
});
export const MailStatusText = z.enum(mailStatuses).openapi({
  description:
    "`queued` waits for its time, `sending` is under way, `dead` was given up, `unaddressed`: the account names nobody, `sandbox`: never leaves.",
});

export const MailView = z
  .strictObject({
    id: z.string(),
    invoice: z.string().openapi({ description: "Id of the document it carries." }),
    recipients: z.array(z.string()),
    status: MailStatusText,
    attempts: z.int(),
    error: z.string().nullable().openapi({
      description: "What the last attempt failed with, or whom the server refused.",
    }),
    next_attempt_at: InstantText.nullable(),
    created_at: InstantText,
    sent_at: InstantText.nullable(),
  })
  .openapi("Mail");

export const mailView = (mail: OutboxMail): z.input<typeof MailView> => ({
  id: mail.messageId,
  invoice: mail.subjectId,
  recipients: [...mail.recipients],
  status: mail.status,
  attempts: mail.attempts,
  error: mail.lastError,
  next_attempt_at: mail.status === "queued" ? formatInstant(mail.nextAttemptAt) : null,
  created_at: formatInstant(mail.createdAt),
  sent_at: mail.sentAt && formatInstant(mail.sentAt),
});
