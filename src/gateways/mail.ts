import { createTransport } from "nodemailer";

export type Mail = {
  /** Stays the same when the same mail is sent again, so that receivers can tell a repetition. */
  readonly messageId: string;
  readonly from: { readonly name: string; readonly address: string };
  readonly replyTo: string | null;
  readonly to: readonly string[];
  readonly writtenAt: Date;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly attachments: readonly {
    readonly fileName: string;
    readonly content: Uint8Array;
    readonly mime: string;
  }[];
};

/**
 * `refused`: recipients that the server would not take while it took the others. `transient`: try again later. `permanent`:
 * the server will never take this mail. Whether an unanswered one arrived is unknown: transient.
 */
export type Posted =
  | { readonly kind: "accepted"; readonly refused: readonly string[] }
  | {
      readonly kind: "failed";
      readonly failure: "transient" | "permanent";
      readonly because: string;
    };

export type MailGateway = { send(mail: Mail): Promise<Posted>; close(): void };

/** Send through an SMTP server: "smtp://user:secret@host:587" (STARTTLS) or "smtps://host:465". */
export function smtpMail(url: string): MailGateway {
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: 4,
    connectionTimeout: 15_000,
    greetingTimeout: 15_000,
    socketTimeout: 60_000,
  } as Parameters<typeof createTransport>[0]);
  return {
    async send(mail) {
      try {
        const sent = (await transport.sendMail({
          messageId: `<${mail.messageId}>`,
          date: mail.writtenAt,
          from: { name: mail.from.name, address: mail.from.address },
          ...(mail.replyTo === null ? {} : { replyTo: mail.replyTo }),
          to: [...mail.to],
          subject: mail.subject,
          text: mail.text,
          html: mail.html,
          headers: { "Auto-Submitted": "auto-generated" },
          attachments: mail.attachments.map((one) => ({
            filename: one.fileName,
            content: Buffer.from(one.content),
            contentType: one.mime,
          })),
        })) as { rejected?: unknown[] };
        return { kind: "accepted", refused: (sent.rejected ?? []).map(String) };
      } catch (error) {
        const { message } = error as Error;
        return { kind: "failed", failure: failureOf(error), because: message };
      }
    },
    close: () => transport.close(),
  };
}

// Only a "no, never" to this very mail is for good. A refused password or greeting is about us, and somebody will mend it.
function failureOf(error: unknown): "transient" | "permanent" {
  const { code, responseCode } = error as { code?: string; responseCode?: number };
  const isAboutMail = code === "EENVELOPE" || code === "EMESSAGE";
  return isAboutMail && responseCode !== undefined && responseCode >= 500
    ? "permanent"
    : "transient";
}
