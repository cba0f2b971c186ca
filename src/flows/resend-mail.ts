import type { Author } from "../domain/audit/index.ts";
import { documentRecipients } from "../domain/accounts/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import type { Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import { findInvoice } from "../store/invoices.ts";
import {
  loadAddressees,
  lockMail,
  type OutboxMail,
  queueMails,
  requeueMail,
} from "../store/mail-outbox.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/**
 * Send a document's mail again, to whoever the account names by now. One that never arrived starts anew as the same mail;
 * one that did is sent as another, because receivers throw repetitions away.
 */
export async function resendMail(
  env: Env,
  author: Author,
  orgId: string,
  messageId: string,
  now: Instant,
): Promise<OutboxMail> {
  return transaction(env.store.db, async (tx) => {
    const mail = await lockMail(tx, orgId, messageId);
    if (!mail) throw new Problem("mail_not_found", `there is no mail ${messageId}`);
    if (mail.status === "sandbox" || mail.status === "sending")
      throw new Problem(
        "mail_not_resendable",
        mail.status === "sandbox"
          ? "mails of a sandbox never leave"
          : "the mail is being sent at this moment",
      );
    const invoice = await findInvoice(tx, orgId, mail.subjectId);
    assert(invoice, "a mail is about a document");
    const key = { orgId, accountId: invoice.accountId };
    const to = (await loadAddressees(tx, [key])).get(accountKeyText(orgId, invoice.accountId));
    assert(to, "a document has an account");
    const recipients = documentRecipients(to);
    if (recipients.length === 0)
      throw new Problem("mail_not_resendable", "the account names nobody who gets its documents");

    let sentAs = mail.messageId;
    if (mail.status === "sent") {
      sentAs = env.id("message");
      const cause = `again ${sentAs} ${mail.subjectId}`;
      await queueMails(
        tx,
        [{ ...mail, messageId: sentAs, cause, recipients, status: "queued" }],
        env.now(),
      );
    } else {
      await requeueMail(tx, mail, recipients, env.now());
    }
    await appendAudit(tx, env.id, orgId, [
      {
        at: now,
        author,
        action: "mail.resent",
        target: { kind: "invoice", id: mail.subjectId },
        before: { status: mail.status, recipients: mail.recipients },
        after: { mail: sentAs, recipients },
      },
    ]);
    const queued = await lockMail(tx, orgId, sentAs);
    assert(queued, "the mail was queued");
    return queued;
  });
}
