import { z } from "@hono/zod-openapi";
import type { Author } from "../../domain/audit/index.ts";
import { type CatalogItem, writeCatalog } from "../../domain/catalog/index.ts";
import { Problem } from "../../domain/refusals/index.ts";
import { amendCatalog, applyCatalog, planCatalog } from "../../flows/apply-catalog.ts";
import {
  decideProposal,
  proposeCatalog,
  setTwoPersonPublication,
} from "../../flows/approve-catalog.ts";
import { browseCatalog, getCatalogItem, listCatalogItems } from "../../flows/browse-catalog.ts";
import type { Env } from "../../flows/env.ts";
import { formatInstant } from "../../kit/time.ts";
import { getPublishedCatalog, type Proposal } from "../../store/plans.ts";
import {
  CatalogDocument,
  CatalogFilesBody,
  CatalogItemView,
  CatalogPlanView,
  CatalogSettings,
  catalogPlanView,
  ProposalView,
  ShopCatalogView,
  shopView,
} from "../contract/catalog.ts";
import { CurrencyCode, Reason } from "../contract/common.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Catalog";
const changes = ["catalog_not_valid", "catalog_change_refused", "catalog_approval_needed"] as const;
type Document = Record<string, unknown>;

const itemView = (item: CatalogItem): z.input<typeof CatalogItemView> => ({
  object: "catalog_item",
  kind: item.kind,
  name: item.name,
  document: { ...item.document },
});

/** Kinds of things with an address of their own: their section in files, and the member that names one. */
const kinds = [
  { kind: "service", path: "services", section: "services", key: "key", title: "service" },
  { kind: "sku", path: "skus", section: "skus", key: "code", title: "SKU" },
  {
    kind: "price_book",
    path: "price-books",
    section: "price_books",
    key: "code",
    title: "price book",
  },
  { kind: "plan", path: "plans", section: "plans", key: "key", title: "plan" },
] as const;
type Kind = (typeof kinds)[number];

const capital = (kind: string) =>
  kind
    .split("_")
    .map((part) => `${part[0]?.toUpperCase()}${part.slice(1)}`)
    .join("");

async function amend(env: Env, author: Author, section: string, documents: Document[]) {
  return amendCatalog(env, author, { name: "request", document: { [section]: documents } });
}

const routesOf = ({ kind, path, section, key, title }: Kind): Endpoint[] => [
  endpoint({
    method: "GET",
    path: `/v1/${path}`,
    id: `list${capital(kind)}s`,
    group,
    summary: `List every ${title}`,
    permission: "catalog.write",
    response: z.strictObject({ object: z.literal("list"), data: z.array(CatalogItemView) }),
    run: async (env) => ({
      object: "list" as const,
      data: (await listCatalogItems(env, kind)).map(itemView),
    }),
  }),
  endpoint({
    method: "POST",
    path: `/v1/${path}`,
    id: `create${capital(kind)}`,
    group,
    summary: `Create a ${title}, or put one in place of a draft`,
    description:
      "The document is the same as in catalog files. What is published changes only as the catalog allows.",
    permission: "catalog.write",
    body: CatalogDocument,
    response: CatalogItemView,
    success: 201,
    problems: changes,
    run: async (env, { author, body }) => {
      await amend(env, author, section, [body]);
      return itemView(await getCatalogItem(env, kind, String(body[key])));
    },
  }),
  endpoint({
    method: "GET",
    path: `/v1/${path}/{name}`,
    id: `get${capital(kind)}`,
    group,
    summary: `See one ${title}`,
    permission: "catalog.write",
    params: NameParam,
    response: CatalogItemView,
    problems: ["catalog_item_not_found"],
    run: async (env, { params }) => itemView(await getCatalogItem(env, kind, params.name)),
  }),
  endpoint({
    method: "PATCH",
    path: `/v1/${path}/{name}`,
    id: `change${capital(kind)}`,
    group,
    summary: `Change members of a ${title}`,
    permission: "catalog.write",
    params: NameParam,
    body: CatalogDocument,
    response: CatalogItemView,
    problems: [...changes, "catalog_item_not_found"],
    run: async (env, { author, params, body }) => {
      const current = await getCatalogItem(env, kind, params.name);
      await amend(env, author, section, [{ ...current.document, ...body, [key]: params.name }]);
      return itemView(await getCatalogItem(env, kind, params.name));
    },
  }),
];

const NameParam = z.object({
  name: z.string().min(1).max(80).openapi({ description: "Its key or code.", example: "basic" }),
});

const priceRoutes: Endpoint[] = [
  endpoint({
    method: "GET",
    path: "/v1/prices",
    id: "listPrices",
    group,
    summary: "List published prices",
    permission: "catalog.write",
    query: z.object({ sku: z.string().max(80).optional(), book: z.string().max(80).optional() }),
    response: z.strictObject({ object: z.literal("list"), data: z.array(CatalogItemView) }),
    run: async (env, { query }) => ({
      object: "list" as const,
      data: (await listCatalogItems(env, "price"))
        .filter((item) => query.sku === undefined || item.document["sku"] === query.sku)
        .filter((item) => query.book === undefined || item.document["book"] === query.book)
        .map(itemView),
    }),
  }),
  endpoint({
    method: "POST",
    path: "/v1/prices",
    id: "publishPrice",
    group,
    summary: "Publish a price, or the next version of one",
    description:
      "Without effective_from the first price of a book and SKU holds since ever, a later one from now on. Processes take it up within five seconds, without a restart.",
    permission: "catalog.write",
    body: CatalogDocument,
    response: CatalogItemView,
    success: 201,
    problems: changes,
    run: async (env, { author, body }) => {
      const known = (await listCatalogItems(env, "price")).some(
        (item) => item.document["sku"] === body["sku"] && item.document["book"] === body["book"],
      );
      const dated =
        known && body["effective_from"] === undefined
          ? { ...body, effective_from: formatInstant(env.now()) }
          : body;
      const plan = await amend(env, author, "prices", [dated]);
      const added = plan.diff.steps.find((step) => step.kind === "price" && step.act === "add");
      if (!added) throw new Problem("catalog_change_refused", "This price is in force already.");
      return itemView(await getCatalogItem(env, "price", added.name));
    },
  }),
  endpoint({
    method: "PATCH",
    path: "/v1/prices/{book}/{sku}",
    id: "changePrice",
    group,
    summary: "Refused: a published price never changes",
    permission: "catalog.write",
    params: z.object({
      book: z.string().max(80).openapi({ example: "retail-usd" }),
      sku: z.string().max(80).openapi({ example: "USAGE-SMS-OVERAGE" }),
    }),
    body: CatalogDocument,
    response: CatalogItemView,
    problems: ["price_published", "catalog_item_not_found"],
    run: async (env, { params }) => {
      const found = (await listCatalogItems(env, "price")).find(
        (item) => item.document["sku"] === params.sku && item.document["book"] === params.book,
      );
      throw new Problem(found ? "price_published" : "catalog_item_not_found");
    },
  }),
];

const planVersion = endpoint({
  method: "POST",
  path: "/v1/plans/{name}/versions",
  id: "createPlanVersion",
  group,
  summary: "Save a draft version of a plan, or publish one",
  description: "Subscribers keep the version they have; new ones get the one in effect.",
  permission: "catalog.write",
  params: NameParam,
  body: CatalogDocument,
  response: CatalogItemView,
  success: 201,
  problems: [...changes, "catalog_item_not_found"],
  run: async (env, { author, params, body }) => {
    const plan = await getCatalogItem(env, "plan", params.name);
    await amend(env, author, "plans", [{ ...plan.document, versions: [body] }]);
    const version = typeof body["version"] === "number" ? body["version"] : 1;
    return itemView(await getCatalogItem(env, "plan_version", `${params.name}@${version}`));
  },
});

const AssignmentBody = z
  .strictObject({
    sku: z.string().max(80).optional(),
    plan: z.string().max(80).optional(),
    organization: z.string().min(1).max(80),
  })
  .openapi("CatalogAssignment");

const assign = endpoint({
  method: "POST",
  path: "/v1/assignments",
  id: "assignCatalogItem",
  group,
  summary: "Make a restricted SKU or plan visible to an organization",
  permission: "catalog.write",
  body: AssignmentBody,
  response: AssignmentBody,
  success: 201,
  problems: changes,
  run: async (env, { author, body }) => {
    await amend(env, author, "assignments", [body]);
    return body;
  },
});

const unassign = endpoint({
  method: "DELETE",
  path: "/v1/assignments",
  id: "unassignCatalogItem",
  group,
  summary: "Hide a restricted SKU or plan again; what was bought stays usable",
  permission: "catalog.write",
  body: AssignmentBody,
  response: null,
  problems: changes,
  run: async (env, { author, body }) => {
    const files = writeCatalog(await getPublishedCatalog(env.store));
    const isOther = (one: Document) =>
      one["organization"] !== body.organization ||
      one["sku"] !== body.sku ||
      one["plan"] !== body.plan;
    const kept = files.map(({ name, document }) =>
      name === "assignments"
        ? {
            name,
            document: { assignments: (document["assignments"] as Document[]).filter(isOther) },
          }
        : { name, document },
    );
    await applyCatalog(env, author, kept);
    return null;
  },
});

const whole: Endpoint[] = [
  endpoint({
    method: "POST",
    path: "/v1/catalog/plan",
    id: "planCatalog",
    group,
    summary: "What a whole catalog would change; changes nothing",
    permission: "catalog.write",
    body: CatalogFilesBody,
    response: CatalogPlanView,
    problems: ["catalog_not_valid"],
    run: async (env, { body }) => catalogPlanView(await planCatalog(env, body.files), false),
  }),
  endpoint({
    method: "POST",
    path: "/v1/catalog/apply",
    id: "applyCatalog",
    group,
    summary: "Make the catalog what the files say: all or nothing",
    permission: "catalog.write",
    body: CatalogFilesBody,
    response: CatalogPlanView,
    problems: changes,
    run: async (env, { author, body }) =>
      catalogPlanView(
        await applyCatalog(env, { ...author, reason: body.reason ?? author.reason }, body.files),
        true,
      ),
  }),
  endpoint({
    method: "GET",
    path: "/v1/catalog/files",
    id: "exportCatalog",
    group,
    summary: "The catalog in force as files that apply back to it",
    permission: "catalog.write",
    response: CatalogFilesBody,
    run: async (env) => ({ files: writeCatalog(await getPublishedCatalog(env.store)) }),
  }),
  endpoint({
    method: "PUT",
    path: "/v1/catalog/settings",
    id: "setCatalogSettings",
    group,
    summary: "Whether publishing prices takes two persons",
    permission: "installation.write",
    body: CatalogSettings,
    response: CatalogSettings,
    run: async (env, { author, body }) => {
      await setTwoPersonPublication(env, author, body.two_person_publication);
      return body;
    },
  }),
];

const proposalView = (
  proposal: Proposal,
  plan: z.input<typeof CatalogPlanView> | null,
): z.input<typeof ProposalView> => ({
  id: proposal.id,
  object: "catalog_proposal",
  created_at: formatInstant(proposal.createdAt),
  status: proposal.status,
  author: proposal.author,
  decided_by: proposal.decidedBy,
  reason: proposal.reason,
  plan,
});

const propose = endpoint({
  method: "POST",
  path: "/v1/catalog/proposals",
  id: "proposeCatalog",
  group,
  summary: "Prepare a change of the catalog for somebody else to approve",
  permission: "catalog.write",
  body: CatalogFilesBody,
  response: ProposalView,
  success: 201,
  problems: ["catalog_not_valid"],
  run: async (env, { author, body }) => {
    const by = { ...author, reason: body.reason ?? author.reason };
    const { proposal, plan } = await proposeCatalog(env, by, body.files);
    return proposalView(proposal, catalogPlanView(plan, false));
  },
});

const decide = (verdict: "approved" | "rejected", word: string) =>
  endpoint({
    method: "POST",
    path: `/v1/catalog/proposals/{proposal}/${word}`,
    id: `${word}CatalogProposal`,
    group,
    summary: `${capital(word)} a proposal that somebody else prepared`,
    permission: "catalog.approve",
    params: z.object({
      proposal: z.string().min(1).max(80).openapi({ example: "chg_01jz8v5w9k2m4n6p8q0r" }),
    }),
    body: z.strictObject({ reason: Reason.optional() }),
    response: ProposalView,
    problems: [...changes, "proposal_not_found", "proposal_decided", "catalog_self_approval"],
    run: async (env, { author, params, body }) => {
      const by = { ...author, reason: body.reason ?? author.reason };
      const { proposal, plan } = await decideProposal(env, by, params.proposal, verdict);
      return proposalView(proposal, plan && catalogPlanView(plan, true));
    },
  });

const browse = endpoint({
  method: "GET",
  path: "/v1/organizations/{organization}/catalog",
  id: "browseCatalog",
  group,
  summary: "What this organization can buy, at its own prices",
  description:
    "Drafts and what is kept for others are not in it. Name an account to see the prices of its book.",
  permission: "catalog.read",
  query: z.object({ account: z.string().max(80).optional(), currency: CurrencyCode.optional() }),
  response: ShopCatalogView,
  problems: ["account_not_found"],
  run: async (env, { organization, query }) =>
    shopView(await browseCatalog(env, organization.id, query)),
});

export const catalogRoutes: readonly Endpoint[] = [
  browse,
  ...kinds.flatMap(routesOf),
  planVersion,
  ...priceRoutes,
  assign,
  unassign,
  ...whole,
  propose,
  decide("approved", "approve"),
  decide("rejected", "reject"),
];
