import { assert } from "../../kit/assert.ts";
import { canonicalJson } from "../../kit/canonical-json.ts";
import { sha256 } from "../../kit/hash.ts";
import {
  addDays,
  type Day,
  dayAt,
  hour,
  type Instant,
  type Period,
  shift,
} from "../../kit/time.ts";
import type { ContentSection, Draft, DraftContent } from "./draft.ts";
import type { InvoicedAccount } from "./facts.ts";
import { type DocumentKind, documentNumber, type Series } from "./number.ts";

/** Where a period stands: usage still comes in; it is over but late events may still change the draft; it may be issued. */
export type Stage = "upcoming" | "draft" | "due";

export function stageOf(account: InvoicedAccount, period: Period, now: Instant): Stage {
  if (now < period.endsAt) return "upcoming";
  return now < finalizesAt(account, period) ? "draft" : "due";
}

/** When late events stop changing the period's draft. */
export const finalizesAt = (account: InvoicedAccount, period: Period): Instant =>
  shift(period.endsAt, account.finalizationHours * hour);

/** The document as it was issued: the draft, and what made it final. Its hash proves that it never changed. */
export type IssuedContent = DraftContent & {
  readonly id: string;
  readonly kind: DocumentKind;
  readonly number: string;
  readonly issued_on: Day;
  readonly due_on: Day;
  /** On a credit or debit note: the document it corrects and why. */
  readonly corrects?:
    | { readonly id: string; readonly number: string; readonly issued_on?: Day }
    | undefined;
  readonly reason?: string | undefined;
  /** What of the total the account's credit has settled as it was issued, and what is left to pay. */
  readonly account_credit?: { readonly applied: string; readonly due: string } | undefined;
};

/** What a document says beside its lines. */
export type Notes = Pick<IssuedContent, "corrects" | "reason" | "account_credit">;

export type Issued = {
  readonly invoiceId: string;
  readonly kind: DocumentKind;
  readonly series: Series;
  readonly number: string;
  readonly issuedAt: Instant;
  readonly dueOn: Day;
  readonly draft: Draft;
  readonly content: IssuedContent;
  /** The content's canonical JSON: what is stored, and what the hash is of. */
  readonly contentText: string;
  readonly contentHash: Buffer;
};

/** Make a draft final under a number. */
export function finalize(
  draft: Draft,
  as: { invoiceId: string; kind: DocumentKind; series: Series; n: bigint },
  now: Instant,
  note: Notes = {},
): Issued {
  const issuedOn = dayAt(now, draft.account.calendar.timeZone);
  const dueOn = addDays(issuedOn, draft.account.netDays);
  const number = documentNumber(as.series, as.n);
  const content: IssuedContent = {
    ...draft.content,
    ...(draft.statements ? { sections: numberedSections(draft, number) } : {}),
    ...note,
    id: as.invoiceId,
    kind: as.kind,
    number,
    issued_on: issuedOn,
    due_on: dueOn,
  };
  const contentText = canonicalJson(content);
  return {
    invoiceId: as.invoiceId,
    kind: as.kind,
    series: as.series,
    number: content.number,
    issuedAt: now,
    dueOn,
    draft,
    content,
    contentText,
    contentHash: sha256(contentText),
  };
}

const statementNumber = (number: string, index: number): string => `${number}.${index + 1}`;

function numberedSections({ content, statements = [] }: Draft, number: string): ContentSection[] {
  const order = statements.map((one) => one.account.accountId);
  return (content.sections ?? []).map((section) => {
    const index = order.indexOf(section.account);
    return index < 0 ? section : { ...section, statement: statementNumber(number, index) };
  });
}

/** What an account keeps of the consolidated document that was issued: numbered below it, in the order of its sections. */
export function finalizeStatement(whole: Issued, index: number, statementId: string): Issued {
  const draft = whole.draft.statements?.[index];
  assert(draft?.content.paid_by, "a statement says who pays it");
  const content: IssuedContent = {
    ...draft.content,
    paid_by: { ...draft.content.paid_by, invoice: whole.number },
    id: statementId,
    kind: "statement",
    number: statementNumber(whole.number, index),
    issued_on: whole.content.issued_on,
    due_on: whole.content.due_on,
  };
  const contentText = canonicalJson(content);
  return {
    invoiceId: statementId,
    kind: "statement",
    series: whole.series,
    number: content.number,
    issuedAt: whole.issuedAt,
    dueOn: whole.dueOn,
    draft,
    content,
    contentText,
    contentHash: sha256(contentText),
  };
}

/** SHA-256 of the document's canonical JSON. */
export const contentHash = (content: unknown): Buffer => sha256(canonicalJson(content));
