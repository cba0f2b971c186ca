import type { SettledEvent } from "../domain/usage/index.ts";
import type { Instant } from "../kit/time.ts";

const postgresEpoch = 946_684_800_000_000;
const signature = Buffer.concat([Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"), Buffer.alloc(8)]);

/** The columns of `usage_event` in the order in which `encodeEvents` writes them. */
export const eventColumns =
  "org_id, event_key, account_id, seq, project_id, type, source, id, subject, time, received_at, data, corrects, chain";
const columnCount = 14;
/** What a row takes beside its texts: lengths, numbers, keys. */
const rowBytes = 2 + columnCount * 4 + 16 * 3 + 8 * 3;

/** Memory that one lane encodes into, group after group. */
export type Scratch = { bytes: Buffer };
export const emptyScratch = (): Scratch => ({ bytes: Buffer.alloc(0) });
const scratchStep = 262_144;

/**
 * Stored events as PostgreSQL's binary COPY format: a few bytes of work each, nothing to parse on the other side. The
 * result lives in the scratch until the next group is encoded.
 */
export function encodeEvents(
  accounts: readonly { orgId: string; accountId: string; events: readonly SettledEvent[] }[],
  scratch: Scratch,
): Buffer {
  const size = sizeMax(accounts);
  if (scratch.bytes.length < size)
    scratch.bytes = Buffer.allocUnsafeSlow(Math.ceil(size / scratchStep) * scratchStep);
  const out = new CopyWriter(scratch.bytes);
  for (const { orgId, accountId, events } of accounts) {
    const org = lengthPrefixed(orgId);
    const account = lengthPrefixed(accountId);
    for (const { arrival, projectId, seq, link, corrects } of events) {
      const { event, key, receivedAt } = arrival;
      out.count(columnCount);
      out.bytes(org);
      out.hex(key);
      out.bytes(account);
      out.whole(seq);
      out.text(projectId);
      out.text(event.type);
      out.text(event.source);
      out.text(event.id);
      out.text(event.subject);
      out.instant(event.time);
      out.instant(receivedAt);
      out.text(event.dataText);
      if (corrects === null) out.nothing();
      else out.hex(corrects);
      out.hex(link);
    }
  }
  return out.finish();
}

/** No text takes more than three bytes for each of its UTF-16 units. */
function sizeMax(
  accounts: readonly { orgId: string; accountId: string; events: readonly SettledEvent[] }[],
): number {
  let size = signature.length + 2;
  for (const { orgId, accountId, events } of accounts) {
    for (const { arrival, projectId } of events) {
      const { event } = arrival;
      const texts =
        orgId.length +
        accountId.length +
        projectId.length +
        event.type.length +
        event.source.length +
        event.id.length +
        event.subject.length +
        event.dataText.length;
      size += rowBytes + texts * 3;
    }
  }
  return size;
}

function lengthPrefixed(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(4 + length);
  bytes.writeInt32BE(length, 0);
  bytes.write(text, 4);
  return bytes;
}

class CopyWriter {
  readonly #buffer: Buffer;
  #at: number;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.#at = signature.copy(this.#buffer);
  }

  count(columns: number): void {
    this.#at = this.#buffer.writeInt16BE(columns, this.#at);
  }

  bytes(prefixed: Buffer): void {
    this.#buffer.set(prefixed, this.#at);
    this.#at += prefixed.length;
  }

  text(value: string): void {
    const length = this.#buffer.write(value, this.#at + 4);
    this.#buffer.writeInt32BE(length, this.#at);
    this.#at += 4 + length;
  }

  hex(value: string): void {
    const length = this.#buffer.write(value, this.#at + 4, "hex");
    this.#buffer.writeInt32BE(length, this.#at);
    this.#at += 4 + length;
  }

  /** A bigint column; `value` is a whole number that Node holds exactly. */
  whole(value: number): void {
    const high = Math.floor(value / 4_294_967_296);
    this.#buffer.writeInt32BE(8, this.#at);
    this.#buffer.writeInt32BE(high, this.#at + 4);
    this.#buffer.writeUInt32BE(value - high * 4_294_967_296, this.#at + 8);
    this.#at += 12;
  }

  instant(at: Instant): void {
    this.whole(at - postgresEpoch);
  }

  nothing(): void {
    this.#at = this.#buffer.writeInt32BE(-1, this.#at);
  }

  finish(): Buffer {
    this.#at = this.#buffer.writeInt16BE(-1, this.#at);
    return this.#buffer.subarray(0, this.#at);
  }
}
