import { sha256Hex } from "../../kit/hash.ts";
import type { Instant } from "../../kit/time.ts";

/** An event as it is stored: everything that its link in the chain vouches for. */
export type ChainedEvent = {
  readonly orgId: string;
  readonly accountId: string;
  readonly seq: number | bigint;
  readonly projectId: string;
  readonly type: string;
  readonly source: string;
  readonly id: string;
  readonly subject: string;
  readonly time: Instant;
  readonly receivedAt: Instant;
  /** The key of the corrected event, 32 hex digits. */
  readonly corrects: string | null;
  readonly dataText: string;
};

/** Before an account's first event. */
export const firstLink = "0".repeat(32);

/**
 * The link of an event: the first 16 bytes of SHA-256 over the link before it (32 hex digits) and the event's fields in
 * the order below, each set off by NUL, which no field can hold. Times are microseconds since 1970; seq and times are
 * decimal digits. Anybody can compute it again in SQL. Change a stored event, and its link no longer fits; change the link
 * too, and the next one does not; change all, and the tip kept in `usage_head` and in every export differs.
 */
export const nextLink = (before: string, e: ChainedEvent): string =>
  // One join makes one text; a template makes a tree of halves first, for every event.
  sha256Hex(
    [
      before,
      e.orgId,
      e.accountId,
      e.seq,
      e.projectId,
      e.type,
      e.source,
      e.id,
      e.subject,
      e.time,
      e.receivedAt,
      e.corrects,
      e.dataText,
    ].join("\0"),
  ).slice(0, 32);

/** The first thing wrong with an account's stored events, undefined when all is well. */
export type ChainFault = {
  readonly orgId: string;
  readonly accountId: string;
  readonly seq: bigint;
  readonly source: string;
  readonly id: string;
  readonly detail: string;
};

/** Follows one account's events in the order of seq. Feed them page by page, then compare the tip with the head's. */
export type ChainWalk = { lastSeq: bigint; link: string };

export const startOfChain = (): ChainWalk => ({ lastSeq: 0n, link: firstLink });

/** Step over one stored event; answers what is wrong with it. The walk goes on from what is stored. */
export function walkChain(
  walk: ChainWalk,
  event: ChainedEvent,
  storedLink: string,
): ChainFault | undefined {
  const expected = nextLink(walk.link, event);
  const wantedSeq = walk.lastSeq + 1n;
  walk.lastSeq = BigInt(event.seq);
  walk.link = storedLink;
  const fault = (detail: string): ChainFault => ({
    orgId: event.orgId,
    accountId: event.accountId,
    seq: BigInt(event.seq),
    source: event.source,
    id: event.id,
    detail,
  });
  if (BigInt(event.seq) !== wantedSeq)
    return fault(`event number ${wantedSeq} is missing before number ${event.seq}`);
  if (expected !== storedLink)
    return fault(`the stored event ${event.id} does not fit its link in the chain: it was changed`);
  return undefined;
}
