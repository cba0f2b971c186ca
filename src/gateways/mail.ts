import { createTransport } from "nodemailer";

export type Mail = {
  /** Stays the same when the same mail is sent again, so that receivers can tell a repetition. */
  readonly messageId: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly attachments: readonly {
    readonly fileName: string;
    readonly content: Uint8Array;
    readonly mime: string;
  }[];
};

/** `transient`: try again later. `permanent`: the server will never take it. Whether an unanswered one arrived is unknown: transient. */
export type Posted =
  | { readonly kind: "accepted" }
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
    maxConnections: 2,
    connectionTimeout: 15_000,
    greetingTimeout: 15_000,
    socketTimeout: 60_000,
  } as Parameters<typeof createTransport>[0]);
  return {
    async send(mail) {
      try {
        const sent = (await transport.sendMail({
          messageId: mail.messageId,
          from: mail.from,
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
        if (sent.rejected && sent.rejected.length > 0)
          return {
            kind: "failed",
            failure: "permanent",
            because: `refused for ${sent.rejected.join(", ")}`,
          };
        return { kind: "accepted" };
      } catch (error) {
        const { responseCode, message } = error as { responseCode?: number; message: string };
        return {
          kind: "failed",
          failure: responseCode !== undefined && responseCode >= 500 ? "permanent" : "transient",
          because: message,
        };
      }
    },
    close: () => transport.close(),
  };
}
