import { type ChainVerdict, chainVerifier } from "../domain/audit/index.ts";
import { findAuditHead, walkAudit } from "../store/audit.ts";
import type { Db } from "../store/connect.ts";

const pageSize = 1000;

/** Recompute a chain from its first entry to its head: a removed, changed or missing last entry is named. */
export async function verifyAudit(db: Db, chainId: string): Promise<ChainVerdict> {
  const head = await findAuditHead(db, chainId);
  const verifier = chainVerifier();
  let afterSeq = 0;
  while (afterSeq < head.seq) {
    // Entries written since the head was read are left to the next verification.
    const entries = (await walkAudit(db, chainId, afterSeq, pageSize)).filter(
      (entry) => entry.seq <= head.seq,
    );
    for (const entry of entries) {
      const broken = verifier.feed(entry);
      if (broken) return broken;
    }
    const last = entries.at(-1);
    if (!last) break;
    afterSeq = last.seq;
  }
  return verifier.end(head);
}
