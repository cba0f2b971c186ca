import { z } from "@hono/zod-openapi";
import type { ChainVerdict, Entry } from "../../domain/audit/index.ts";
import { formatInstant } from "../../kit/time.ts";
import { InstantText, PageQuery } from "./common.ts";

const Anything = z
  .unknown()
  .openapi({ description: "What the outside sees of the thing; null when there was none." });

export const AuditEntryView = z
  .strictObject({
    id: z.string(),
    object: z.literal("audit_entry"),
    seq: z.int().openapi({ description: "Counts from 1 without gaps." }),
    at: InstantText,
    actor: z.strictObject({
      kind: z.enum(["api_key", "system"]),
      id: z.string(),
      name: z.string(),
    }),
    action: z.string().openapi({ example: "account.suspended" }),
    target: z.strictObject({ kind: z.string(), id: z.string() }),
    before: Anything,
    after: Anything,
    reason: z.string().nullable(),
    request_id: z.string().nullable(),
    chain: z
      .string()
      .openapi({ description: "SHA-256 over the entry before and this one, in hex." }),
  })
  .openapi("AuditEntry");

export const auditEntryView = (entry: Entry): z.input<typeof AuditEntryView> => ({
  id: entry.id,
  object: "audit_entry",
  seq: entry.seq,
  at: formatInstant(entry.at),
  actor: { ...entry.author.actor },
  action: entry.action,
  target: { ...entry.target },
  before: entry.before,
  after: entry.after,
  reason: entry.author.reason,
  request_id: entry.author.requestId,
  chain: entry.chain.toString("hex"),
});

export const AuditQuery = PageQuery.extend({
  target_kind: z.string().max(40).optional().openapi({ example: "account" }),
  target_id: z.string().max(200).optional(),
  action: z.string().max(60).optional(),
});

export const AuditVerdictView = z
  .strictObject({
    object: z.literal("audit_verification"),
    whole: z.boolean(),
    entries: z.int().nullable(),
    broken_at_seq: z.int().nullable(),
    because: z.enum(["entry_missing", "entry_changed", "end_missing"]).nullable(),
  })
  .openapi("AuditVerification");

export const auditVerdictView = (verdict: ChainVerdict): z.input<typeof AuditVerdictView> => ({
  object: "audit_verification",
  whole: verdict.kind === "whole",
  entries: verdict.kind === "whole" ? verdict.entryCount : null,
  broken_at_seq: verdict.kind === "broken" ? verdict.atSeq : null,
  because: verdict.kind === "broken" ? verdict.because : null,
});
