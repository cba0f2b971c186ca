import { readMeter } from "../domain/catalog/index.ts";
import { formatInstant } from "../kit/time.ts";
import { getCatalog } from "../store/catalog.ts";
import { type AccountKey, findAccountToInvoice, pageAccountKeys } from "../store/invoice-facts.ts";
import { pageInvoices } from "../store/invoices.ts";
import { snapshot } from "../store/transaction.ts";
import { compareRollups, verifyChain } from "../store/usage-proof.ts";
import type { Env } from "./env.ts";
import { proveBooks } from "./prove-books.ts";
import { proveGrants } from "./prove-grants.ts";
import { verifyStored } from "./verify-invoice.ts";

/** One thing that is not what it should be, and whose it is. */
export type InstallationFault = {
  readonly account: string;
  readonly about: "rollup" | "chain" | "invoice" | "prepaid" | "books";
  readonly where: string;
  readonly stored: string;
  readonly recomputed: string;
};

export type InstallationProof = {
  readonly accountCount: number;
  readonly invoiceCount: number;
  readonly faults: readonly InstallationFault[];
};

const accountsPerPage = 200;
const invoicesPerPage = 200;

/**
 * Prove every account, or those of one organization: rollups equal their raw events, the chain of events is whole, every
 * issued document re-derives, and the books are what documents, payments and grants say. Each account is read in a snapshot of its own, so that work may go on meanwhile.
 */
export async function verifyInstallation(
  env: Env,
  orgId: string | undefined,
  seen: (accountCount: number) => void = () => {},
): Promise<InstallationProof> {
  const faults: InstallationFault[] = [];
  let accountCount = 0;
  let invoiceCount = 0;
  let after: AccountKey | undefined;
  for (;;) {
    const keys = await pageAccountKeys(env.store.db, { orgId, after, limit: accountsPerPage });
    if (keys.length === 0) {
      // Grants, balances and books last: their own path over the events.
      const proof = await proveGrants(env, orgId === undefined ? {} : { orgId });
      for (const { accountId, where, stored, recomputed } of proof.faults)
        faults.push({ account: accountId, about: "prepaid", where, stored, recomputed });
      for (const one of await proveBooks(env, orgId === undefined ? {} : { orgId }))
        faults.push({ ...one, account: one.orgId, about: "books" });
      return { accountCount, invoiceCount, faults };
    }
    for (const key of keys) {
      const found = await verifyAccount(env, key);
      faults.push(...found.faults);
      invoiceCount += found.invoiceCount;
      accountCount += 1;
      seen(accountCount);
    }
    after = keys.at(-1);
  }
}

async function verifyAccount(
  env: Env,
  key: AccountKey,
): Promise<{ faults: InstallationFault[]; invoiceCount: number }> {
  const catalog = await getCatalog(env.store);
  return snapshot(env.store.db, async (db) => {
    const account = (await findAccountToInvoice(db, key.orgId, key.accountId))?.account.slug ?? "";
    const faults: InstallationFault[] = [];
    for (const stored of catalog.meters.values()) {
      const { meter } = readMeter(stored.definition);
      if (!meter) continue;
      for (const one of await compareRollups(db, key, meter, null))
        faults.push({
          account,
          about: "rollup",
          where: `${one.meterKey} at ${one.bucketAt}, project ${one.projectId}, ${one.dimensions}`,
          stored: one.stored,
          recomputed: one.recomputed,
        });
    }
    const broken = await verifyChain(db, key);
    if (broken)
      faults.push({
        account,
        about: "chain",
        where: `event ${broken.seq}${broken.id ? `, id ${broken.id}` : ""}`,
        stored: broken.detail,
        recomputed: "a whole chain",
      });

    let invoiceCount = 0;
    let after: { issuedAt: string; invoiceId: string } | undefined;
    for (;;) {
      const page = await pageInvoices(db, {
        orgId: key.orgId,
        accountId: key.accountId,
        after,
        limit: invoicesPerPage,
      });
      for (const invoice of page) {
        invoiceCount += 1;
        const { checks } = await verifyStored(db, catalog, invoice);
        for (const { name, mismatches } of checks)
          for (const one of mismatches)
            faults.push({
              account,
              about: "invoice",
              where: `${invoice.number}, ${name}, ${one.where}`,
              stored: one.stored,
              recomputed: one.recomputed,
            });
      }
      const last = page.at(-1);
      if (page.length < invoicesPerPage || !last || last.issuedAt === null)
        return { faults, invoiceCount };
      after = { issuedAt: formatInstant(last.issuedAt), invoiceId: last.invoiceId };
    }
  });
}
