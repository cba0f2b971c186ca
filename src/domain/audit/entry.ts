import { canonicalJson } from "../../kit/canonical-json.ts";
import { sha256 } from "../../kit/hash.ts";
import { formatInstant, type Instant } from "../../kit/time.ts";

/** Who did it: a key, or the system itself (a job, a migration, the command line). */
export type Actor = {
  readonly kind: "api_key" | "system";
  readonly id: string;
  readonly name: string;
};

/** Who, on which request, and why: handed to every flow that changes something. */
export type Author = {
  readonly actor: Actor;
  readonly requestId: string | null;
  readonly reason: string | null;
};

/** An author for work that nobody asked for over HTTP: jobs, imports, the command line. */
export const system = (name: string, reason: string | null = null): Author => ({
  actor: { kind: "system", id: name, name },
  requestId: null,
  reason,
});

/** One change, before it has its place in the chain. `before` and `after` are what the outside sees of the thing. */
export type Change = {
  readonly at: Instant;
  readonly author: Author;
  /** noun.verb, as in "account.suspended". */
  readonly action: string;
  readonly target: { readonly kind: string; readonly id: string };
  readonly before: unknown;
  readonly after: unknown;
};

/** A change in its place: `seq` counts from 1 without gaps, `chain` proves everything up to here. */
export type Entry = Change & { readonly id: string; readonly seq: number; readonly chain: Buffer };

export const chainStart: Buffer = Buffer.alloc(32);

/** The hash that ties an entry to all entries before it. Covers every member, in one canonical form. */
export function linkOf(previous: Uint8Array, entry: Omit<Entry, "chain">): Buffer {
  const { author } = entry;
  const text = canonicalJson({
    id: entry.id,
    seq: entry.seq,
    at: formatInstant(entry.at),
    actor: author.actor,
    request_id: author.requestId,
    reason: author.reason,
    action: entry.action,
    target: entry.target,
    before: entry.before ?? null,
    after: entry.after ?? null,
  });
  return sha256(Buffer.concat([previous, Buffer.from(text, "utf8")]));
}

export type ChainVerdict =
  | { readonly kind: "whole"; readonly entryCount: number }
  | {
      readonly kind: "broken";
      readonly atSeq: number;
      readonly because: "entry_missing" | "entry_changed" | "end_missing";
    };

/** A verifier that is fed entries in order, page by page, and then the head it must end at. */
export function chainVerifier(): {
  feed(entry: Entry): ChainVerdict | undefined;
  end(head: { readonly seq: number; readonly chain: Uint8Array }): ChainVerdict;
} {
  let previous: Buffer = chainStart;
  let seq = 0;
  return {
    feed(entry) {
      if (entry.seq !== seq + 1)
        return { kind: "broken", atSeq: seq + 1, because: "entry_missing" };
      const { chain, ...rest } = entry;
      if (!linkOf(previous, rest).equals(chain))
        return { kind: "broken", atSeq: entry.seq, because: "entry_changed" };
      previous = chain;
      seq = entry.seq;
      return undefined;
    },
    end(head) {
      return head.seq === seq && previous.equals(head.chain)
        ? { kind: "whole", entryCount: seq }
        : { kind: "broken", atSeq: seq + 1, because: "end_missing" };
    },
  };
}
