import { verifyAudit } from "../../flows/verify-audit.ts";
import { listAudit, providerChain } from "../../store/audit.ts";
import {
  AuditEntryView,
  AuditQuery,
  AuditVerdictView,
  auditEntryView,
  auditVerdictView,
} from "../contract/audit.ts";
import { page, pageOf, positionOf } from "../contract/common.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Audit";

const list = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}/audit",
  id: "listAudit",
  group,
  summary: "See who changed what, newest first",
  permission: "audit.read",
  query: AuditQuery,
  response: pageOf(AuditEntryView),
  run: async (env, { organization, query }) => listPage(env.store.db, organization.id, query),
});

const verify = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}/audit/verification",
  id: "verifyAudit",
  group,
  summary: "Recompute the hash chain of an organization's audit trail",
  description: "A removed, changed or missing last entry is named by its sequence number.",
  permission: "audit.read",
  response: AuditVerdictView,
  run: async (env, { organization }) =>
    auditVerdictView(await verifyAudit(env.store.db, organization.id)),
});

const listProvider = endpoint({
  method: "GET",
  path: "/v1/audit",
  id: "listProviderAudit",
  group,
  summary:
    "See who changed what belongs to no organization: catalog, settings, keys of the provider",
  permission: "installation.read",
  query: AuditQuery,
  response: pageOf(AuditEntryView),
  run: async (env, { query }) => listPage(env.store.db, providerChain, query),
});

const verifyProvider = endpoint({
  method: "GET",
  path: "/v1/audit/verification",
  id: "verifyProviderAudit",
  group,
  summary: "Recompute the hash chain of the provider's audit trail",
  permission: "installation.read",
  response: AuditVerdictView,
  run: async (env) => auditVerdictView(await verifyAudit(env.store.db, providerChain)),
});

type Asked = {
  limit: number;
  cursor?: string | undefined;
  target_kind?: string | undefined;
  target_id?: string | undefined;
  action?: string | undefined;
};

async function listPage(db: Parameters<typeof listAudit>[0], chainId: string, query: Asked) {
  const position = positionOf(query.cursor, 1)?.[0];
  const beforeSeq = position === undefined ? undefined : Number(position);
  const filter = { targetKind: query.target_kind, targetId: query.target_id, action: query.action };
  const entries = await listAudit(db, chainId, filter, { beforeSeq, limit: query.limit + 1 });
  return page(entries, query.limit, auditEntryView, (entry) => [entry.seq]);
}

export const auditRoutes: readonly Endpoint[] = [list, verify, listProvider, verifyProvider];
