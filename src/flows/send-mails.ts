import { isHopeless, leaseMicros, nextAttempt } from "../domain/messages/index.ts";
import { letterFor } from "../domain/paper/index.ts";
import type { MailGateway, Posted } from "../gateways/mail.ts";
import { formatInstant } from "../kit/time.ts";
import { findInvoice } from "../store/invoices.ts";
import { claimMail, type MailOutcome, type OutboxMail, settleMail } from "../store/mail-outbox.ts";
import type { Env } from "./env.ts";
import { pdfOf, readPaper } from "./render-document.ts";

export type Postman = {
  readonly gateway: MailGateway;
  /** The address that mails come from; the name beside it is the brand of the document. */
  readonly from: string;
  readonly leaseMicros?: number;
};

/**
 * Send the mail that is due longest: claim it for as long as the lease, write it, hand it to the server, note what became of
 * it. Killed between the last two, the mail is sent once more under the same Message-ID: it is never lost, and a repetition
 * is recognised. Returns what became of it; undefined when nothing is due.
 */
export async function sendNextMail(env: Env, postman: Postman): Promise<MailOutcome | undefined> {
  const mail = await claimMail(env.store.db, env.now(), postman.leaseMicros ?? leaseMicros);
  if (!mail) return undefined;
  const outcome = isHopeless(mail.attempts)
    ? ({ status: "dead", note: "taken up again and again, and no attempt ever ended" } as const)
    : outcomeOf(env, mail, await post(env, mail, postman));
  await settleMail(env.store.db, mail, outcome);
  return outcome;
}

async function post(env: Env, mail: OutboxMail, { gateway, from }: Postman): Promise<Posted> {
  const document = await findInvoice(env.store.db, mail.orgId, mail.subjectId);
  if (document?.status === "void")
    return { kind: "failed", failure: "permanent", because: `${document.number} is void` };
  try {
    const paper = await readPaper(env, mail.orgId, mail.subjectId);
    const letter = letterFor(paper);
    return await gateway.send({
      messageId: `${mail.messageId}@${from.slice(from.lastIndexOf("@") + 1)}`,
      from: { name: paper.brand.name, address: from },
      replyTo: paper.seller.email,
      to: mail.recipients,
      writtenAt: new Date(formatInstant(mail.createdAt)),
      subject: letter.subject,
      text: letter.text,
      html: letter.html,
      attachments: [
        { fileName: letter.fileName, content: await pdfOf(paper), mime: "application/pdf" },
      ],
    });
  } catch (error) {
    // A document that cannot be written today may be written by the next version of the program.
    const because = error instanceof Error ? error.message : String(error);
    return { kind: "failed", failure: "transient", because: `not written: ${because}` };
  }
}

function outcomeOf(env: Env, mail: OutboxMail, posted: Posted): MailOutcome {
  const now = env.now();
  if (posted.kind === "accepted") {
    const note = posted.refused.length > 0 ? `refused for ${posted.refused.join(", ")}` : null;
    return { status: "sent", at: now, note };
  }
  const next = nextAttempt(mail.attempts, posted.failure, now);
  return next.kind === "dead"
    ? { status: "dead", note: posted.because }
    : { status: "queued", at: next.at, note: posted.because };
}
