import { resendMail } from "../../flows/resend-mail.ts";
import { formatInstant } from "../../kit/time.ts";
import { pageMails } from "../../store/mail-outbox.ts";
import { PageQuery, page, pageOf, positionOf } from "../contract/common.ts";
import { MailParam, MailStatusText, MailView, mailView } from "../contract/mails.ts";
import { z } from "@hono/zod-openapi";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Mails";
const mails = "/v1/organizations/{organization}/mails";

const list = endpoint({
  method: "GET",
  path: mails,
  id: "listMails",
  group,
  summary: "List the mails that carry documents, newest first",
  description: "Also those that could not be sent, and those that nobody was named for.",
  permission: "invoices.read",
  query: PageQuery.extend({
    status: MailStatusText.optional(),
    invoice: z.string().max(80).optional().openapi({ description: "Id of a document." }),
  }),
  response: pageOf(MailView),
  run: async (env, { organization: { id }, query }) => {
    const position = positionOf(query.cursor, 2);
    const rows = await pageMails(env.store.db, {
      orgId: id,
      status: query.status,
      subjectId: query.invoice,
      after: position && { createdAt: String(position[0]), messageId: String(position[1]) },
      limit: query.limit + 1,
    });
    return page(rows, query.limit, mailView, (row) => [
      formatInstant(row.createdAt),
      row.messageId,
    ]);
  },
});

const resend = endpoint({
  method: "POST",
  path: `${mails}/{mail}/resend`,
  id: "resendMail",
  group,
  summary: "Send a document's mail again",
  description:
    "To whoever the account names by now. A mail that never arrived keeps its id; one that did is sent again as another.",
  permission: "invoices.write",
  params: MailParam,
  response: MailView,
  success: 202,
  problems: ["mail_not_found", "mail_not_resendable"],
  run: async (env, { organization: { id }, params, author, now }) =>
    mailView(await resendMail(env, author, id, params.mail, now)),
});

export const mailRoutes: readonly Endpoint[] = [list, resend];
