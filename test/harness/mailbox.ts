import type { AddressInfo } from "node:net";
import PostalMime, { type Email } from "postal-mime";
import { SMTPServer } from "smtp-server";

/** A real SMTP server that keeps what it is given. */
export type Mailbox = {
  readonly url: string;
  readonly port: number;
  /** Everything that was accepted, in the order of arrival, repetitions included. */
  readonly mails: readonly Email[];
  close(): Promise<void>;
};

export type MailboxOptions = {
  readonly port?: number;
  /** What to answer to a recipient instead of "250 accepted": 450 for later, 550 for never. */
  readonly refuse?: (address: string) => number | undefined;
  /** Milliseconds between having the mail and saying so: where senders die. */
  readonly hesitationMs?: number;
};

export async function openMailbox(options: MailboxOptions = {}): Promise<Mailbox> {
  const mails: Email[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    onRcptTo(address, _session, done) {
      const code = options.refuse?.(address.address);
      if (code === undefined) return done();
      done(Object.assign(new Error("not here"), { responseCode: code }));
    },
    onData(stream, _session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        void PostalMime.parse(Buffer.concat(chunks)).then((mail) => {
          mails.push(mail);
          setTimeout(done, options.hesitationMs ?? 0);
        }, done);
      });
    },
  });
  // Killed senders reset their connections; that is what is being tested.
  server.on("error", () => {});
  await new Promise<void>((resolve) => {
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    port,
    mails,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
      }),
  };
}
