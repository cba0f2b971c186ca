import type { Author } from "../domain/audit/index.ts";
import { type LateNote, lateNotes } from "../domain/corrections/index.ts";
import type { Cited, Elsewhere, Line } from "../domain/invoicing/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import { formatMoney } from "../kit/money.ts";
import type { Instant } from "../kit/time.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db, Tx } from "../store/connect.ts";
import { type AccountKey, accountKeyText, loadSeenBefore } from "../store/invoice-facts.ts";
import {
  findInvoice,
  listInvoiced,
  lockDocuments,
  periodKeyText,
  type StoredInvoice,
} from "../store/invoices.ts";
import { countExplainedEvents, pageExplainedEvents } from "../store/raw-usage.ts";
import { transaction } from "../store/transaction.ts";
import type { DraftScope } from "./draft-invoices.ts";
import type { Env } from "./env.ts";
import { issueNote } from "./issue-note.ts";
import { type LateLook, lookAtLateUsage, recordLate } from "./notice-late-usage.ts";
import { getAccountToInvoice } from "./preview-invoice.ts";

const attemptsMax = 5;
const citedMax = 5;

/**
 * Put an account's late usage that goes its own way onto debit and credit notes now, one of each for every invoice that it
 * changes. Asked again, there is nothing left to write.
 */
export async function issueLateUsage(
  env: Env,
  request: { readonly orgId: string; readonly account: string },
  author: Author,
  now: Instant,
): Promise<StoredInvoice[]> {
  const of = await getAccountToInvoice(env, request.orgId, request.account);
  const { orgId, accountId } = of.account;
  return withFreshLook(env, { orgId, accountId }, (tx, look) =>
    writeNotes(tx, env, look, (one) => one.because === "own_document", author, now),
  );
}

/**
 * Decide about an account's late usage in a transaction that holds its documents, on a look that no document has overtaken.
 * The look is taken outside: it must see one moment, and may take long.
 */
export async function withFreshLook<T>(
  env: Env,
  key: AccountKey,
  work: (tx: Tx, look: LateLook) => Promise<T[]>,
): Promise<T[]> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const [look] = await lookAtLateUsage(env, [key]);
    if (!look) return [];
    const [objection] = look.objections;
    if (objection !== undefined) throw new Problem("invoice_not_verified", objection);
    const done = await transaction(env.store.db, async (tx) => {
      const sequences = await lockDocuments(tx, [key]);
      const last = sequences.get(accountKeyText(key.orgId, key.accountId)) ?? 0n;
      return last === look.drafted.scope.sequence ? work(tx, look) : undefined;
    });
    if (done !== undefined) return done;
  }
  throw new Problem("service_busy");
}

/** Write the notes of those differences that are to go out, where the account's documents are held, and keep the rows in step. */
export async function writeNotes(
  tx: Tx,
  env: Env,
  { drafted: { scope }, differences }: LateLook,
  goesOut: (one: Elsewhere) => boolean,
  author: Author,
  now: Instant,
): Promise<StoredInvoice[]> {
  const { orgId, accountId } = scope.of.account;
  const notes: StoredInvoice[] = [];
  const billed: { documentId: string; lines: readonly Line[] }[] = [];
  let { sequence } = scope;
  for (const note of lateNotes(differences, goesOut)) {
    sequence += 1n;
    const written = await writeNote(tx, env, { scope, note, sequence }, author, now);
    notes.push(written);
    billed.push({ documentId: written.invoiceId, lines: note.lines });
  }
  const written = new Set(billed.flatMap(({ lines }) => lines));
  const elsewhere = differences.filter(({ line }) => !written.has(line));
  await recordLate(tx, env.id, scope, { elsewhere, billed }, now);
  if (notes.length > 0)
    await appendAudit(
      tx,
      env.id,
      orgId,
      notes.map((note) => ({
        at: now,
        author,
        action: `${note.kind}.issued`,
        target: { kind: "invoice", id: note.correctsId ?? note.invoiceId },
        before: null,
        after: { number: note.number, total: formatMoney(note.total), account: accountId },
      })),
    );
  return notes;
}

async function writeNote(
  tx: Tx,
  env: Env,
  of: { scope: DraftScope; note: LateNote; sequence: bigint },
  author: Author,
  now: Instant,
): Promise<StoredInvoice> {
  const { scope, note, sequence } = of;
  const corrected = await standingInvoice(tx, scope, note);
  const lines = await Promise.all(
    note.lines.map(async (line) => ({
      ...line,
      cites: await citedBy(tx, scope, line, sequence),
    })),
  );
  return issueNote(
    tx,
    env,
    {
      kind: note.kind,
      corrected,
      lines,
      usage: {
        seq: scope.seq,
        offers: scope.offers,
        priceBook: scope.priceBook,
        elsewhere: note.elsewhere,
      },
      sequence,
      reason: reasonOf(corrected.content.number, lines),
      reasonCode: "late_usage",
      createdBy: author.actor.id,
    },
    now,
  );
}

/** The invoice of the note's period: differences go their own way only where there is one. */
async function standingInvoice(
  tx: Tx,
  { of }: DraftScope,
  { period }: LateNote,
): Promise<StoredInvoice> {
  const { orgId, accountId } = of.account;
  const invoiced = await listInvoiced(tx, [{ orgId, accountId, period }]);
  const id = invoiced.get(periodKeyText(orgId, accountId, period.startsAt));
  const invoice = id === undefined ? undefined : await findInvoice(tx, orgId, id);
  assert(invoice, "a period with a note of its own has an invoice");
  return invoice;
}

/** The events behind a difference: those that came in since a document last billed its cause. */
async function citedBy(db: Db, scope: DraftScope, line: Line, sequence: bigint): Promise<Cited> {
  const { orgId, accountId } = scope.of.account;
  const offer = scope.offers.find(({ meter }) => meter.key === line.meterKey);
  assert(offer, "late usage has a meter");
  const what = {
    orgId,
    accountId,
    meter: offer.meter,
    period: line.period,
    sinceSeq: await loadSeenBefore(db, { orgId, accountId, sequence }, line.cause),
    untilSeq: scope.seq,
  };
  const events = await pageExplainedEvents(db, { ...what, after: undefined, limit: citedMax });
  return {
    event_count: (await countExplainedEvents(db, what)).toString(),
    first: events.map(({ source, id }) => ({ source, id })),
  };
}

function reasonOf(number: string, lines: readonly (Line & { readonly cites: Cited })[]): string {
  const events = lines.reduce((sum, { cites }) => sum + BigInt(cites.event_count), 0n);
  const [first] = lines.flatMap(({ cites }) => cites.first);
  const from = first === undefined ? "" : `, the first of them ${first.id}`;
  return `Usage that came in or was corrected after ${number}: ${events} events${from}`;
}
