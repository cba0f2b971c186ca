import { documentRecipients } from "../domain/accounts/index.ts";
import type { Issued } from "../domain/invoicing/index.ts";
import { assert } from "../kit/assert.ts";
import type { Instant } from "../kit/time.ts";
import type { Tx } from "../store/connect.ts";
import { accountKeyText } from "../store/invoice-facts.ts";
import {
  type Addressees,
  loadAddressees,
  type MailStatus,
  queueMails,
} from "../store/mail-outbox.ts";

/** Queue one mail per document, in the transaction that issues them: two statements, however many there are. */
export async function queueDocumentMails(
  tx: Tx,
  documents: readonly Issued[],
  now: Instant,
): Promise<void> {
  if (documents.length === 0) return;
  const addressees = await loadAddressees(
    tx,
    documents.map((one) => one.draft.account),
  );
  const mails = documents.map(({ invoiceId, draft: { account } }) => {
    const to = addressees.get(accountKeyText(account.orgId, account.accountId));
    assert(to, "an issued document has an account");
    const recipients = documentRecipients(to);
    return {
      orgId: account.orgId,
      // A document has one mail, so the mail's name follows from the document's.
      messageId: `msg_${invoiceId.slice(4)}`,
      cause: `document ${invoiceId}`,
      kind: "document",
      subjectId: invoiceId,
      recipients,
      status: firstStatus(to, recipients),
    };
  });
  await queueMails(tx, mails, now);
}

/** What a mail begins as: sandboxes write to nobody, and nobody is written to where nobody is named. */
function firstStatus(to: Addressees, recipients: readonly string[]): MailStatus {
  if (to.isSandbox) return "sandbox";
  return recipients.length === 0 ? "unaddressed" : "queued";
}
