import type { Author } from "../domain/audit/index.ts";
import type { CatalogFile } from "../domain/catalog/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { appendAudit, providerChain } from "../store/audit.ts";
import {
  insertProposal,
  lockProposal,
  markDecided,
  type Proposal,
  saveCatalogSettings,
} from "../store/plans.ts";
import { transaction } from "../store/transaction.ts";
import { applyIn, type CatalogPlan, planCatalog } from "./apply-catalog.ts";
import type { Env } from "./env.ts";

/** Prepare a change of the catalog for somebody else to approve. It must be sound already; nothing is in force yet. */
export async function proposeCatalog(
  env: Env,
  author: Author,
  files: readonly CatalogFile[],
): Promise<{ readonly proposal: Proposal; readonly plan: CatalogPlan }> {
  const plan = await planCatalog(env, files);
  const proposal: Proposal = {
    id: env.id("change"),
    status: "open",
    files,
    author: author.actor.id,
    reason: author.reason ?? "",
    decidedBy: null,
    createdAt: env.now(),
  };
  await transaction(env.store.db, async (tx) => {
    await insertProposal(tx, proposal);
    await appendAudit(tx, env.id, providerChain, [
      {
        at: env.now(),
        author,
        action: "catalog.proposed",
        target: { kind: "catalog_proposal", id: proposal.id },
        before: null,
        after: plan.diff.steps,
      },
    ]);
  });
  return { proposal, plan };
}

/** Decide a proposal: never one's own. Approval applies it, as the catalog stands at that moment. */
export async function decideProposal(
  env: Env,
  author: Author,
  id: string,
  verdict: "approved" | "rejected",
): Promise<{ readonly proposal: Proposal; readonly plan: CatalogPlan | null }> {
  return transaction(env.store.db, async (tx) => {
    const proposal = await lockProposal(tx, id);
    if (!proposal) throw new Problem("proposal_not_found");
    if (proposal.status !== "open") throw new Problem("proposal_decided");
    if (proposal.author === author.actor.id) throw new Problem("catalog_self_approval");
    const plan =
      verdict === "approved" ? await applyIn(env, tx, author, proposal.files, true) : null;
    await markDecided(tx, id, verdict, author.actor.id, env.now());
    await appendAudit(tx, env.id, providerChain, [
      {
        at: env.now(),
        author,
        action: `catalog.${verdict}`,
        target: { kind: "catalog_proposal", id },
        before: { author: proposal.author },
        after: null,
      },
    ]);
    return { proposal: { ...proposal, status: verdict, decidedBy: author.actor.id }, plan };
  });
}

/** Whether publishing prices and plan versions takes two persons. */
export async function setTwoPersonPublication(
  env: Env,
  author: Author,
  isOn: boolean,
): Promise<void> {
  await transaction(env.store.db, async (tx) => {
    await saveCatalogSettings(tx, { two_person_publication: isOn });
    await appendAudit(tx, env.id, providerChain, [
      {
        at: env.now(),
        author,
        action: "catalog.settings_changed",
        target: { kind: "catalog", id: "settings" },
        before: null,
        after: { two_person_publication: isOn },
      },
    ]);
  });
}
