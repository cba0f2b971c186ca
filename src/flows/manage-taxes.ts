import type { Author } from "../domain/audit/index.ts";
import type { FxRate } from "../domain/exchange/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { type LegalEntity, overlappingRates, type TaxRate } from "../domain/tax/index.ts";
import { checkTaxId } from "../gateways/vat-id.ts";
import { formatDecimal } from "../kit/decimal.ts";
import type { AccountId, OrganizationId } from "../kit/ids.ts";
import type { Day } from "../kit/time.ts";
import { appendAudit, providerChain } from "../store/audit.ts";
import type { Tx } from "../store/connect.ts";
import {
  appendTaxIdCheck,
  getLegalEntity,
  insertFxRate,
  insertTaxCertificate,
  listTaxRates,
  saveLegalEntity,
  startTaxRate,
  type TaxIdCheck,
} from "../store/tax.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/** Set up (or change) who issues documents. Issued ones keep what they were issued with. */
export async function setLegalEntity(
  env: Env,
  author: Author,
  entity: LegalEntity,
): Promise<LegalEntity> {
  return transaction(env.store.db, async (tx) => {
    const before = await getLegalEntity(tx, entity.code);
    await saveLegalEntity(tx, entity, env.now());
    await record(env, tx, author, "legal_entity.set", entity.code, before, entity);
    return entity;
  });
}

/** Let a tax rate begin on a day. The one before it of the same name ends there; the past is not touched. */
export async function beginTaxRate(env: Env, author: Author, rate: TaxRate): Promise<TaxRate> {
  return transaction(env.store.db, async (tx) => {
    const table = await listTaxRates(tx);
    const same = (one: TaxRate) =>
      one.country === rate.country &&
      one.region === rate.region &&
      one.productClass === rate.productClass &&
      one.name === rate.name;
    const later = table.filter((one) => same(one) && one.from >= rate.from);
    const kept = table.filter(
      (one) =>
        !(same(one) && one.from < rate.from && (one.until === null || one.until > rate.from)),
    );
    if (later.length > 0 || overlappingRates([...kept, rate]).length > 0) {
      throw new Problem(
        "tax_rate_overlaps",
        `${rate.name} of ${rate.country} already has a rate from ${later[0]?.from ?? rate.from}: let the new one begin later, or under another name.`,
      );
    }
    await startTaxRate(tx, rate);
    await record(env, tx, author, "tax_rate.begun", `${rate.country}/${rate.name}`, null, {
      ...rate,
      percent: formatDecimal(rate.percent),
    });
    return rate;
  });
}

export async function recordFxRate(env: Env, author: Author, rate: FxRate): Promise<FxRate> {
  return transaction(env.store.db, async (tx) => {
    if (!(await insertFxRate(tx, rate, env.now()))) {
      throw new Problem(
        "fx_rate_recorded",
        `${rate.source} already has a rate from ${rate.from} to ${rate.to} on ${rate.on}: a recorded rate is never changed.`,
      );
    }
    await record(env, tx, author, "fx_rate.recorded", `${rate.from}/${rate.to}`, null, {
      ...rate,
      rate: formatDecimal(rate.rate),
    });
    return rate;
  });
}

/** Check the form of a buyer's tax id and keep the answer as evidence; reverse charge needs the newest check to be good. */
export async function checkBuyerTaxId(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  accountId: AccountId,
  taxId: string,
): Promise<TaxIdCheck> {
  const { isValid, evidence } = checkTaxId(taxId);
  const check = {
    orgId: organizationId,
    accountId,
    taxId,
    isValid,
    method: "format_and_check_digit",
    evidence,
  };
  await transaction(env.store.db, async (tx) => {
    await appendTaxIdCheck(tx, check, env.now());
    await appendAudit(tx, env.id, organizationId, [
      {
        at: env.now(),
        author,
        action: "tax_id.checked",
        target: { kind: "billing_account", id: accountId },
        before: null,
        after: check,
      },
    ]);
  });
  return check;
}

export async function addTaxCertificate(
  env: Env,
  author: Author,
  organizationId: OrganizationId,
  accountId: AccountId,
  one: {
    readonly country: string;
    readonly certificate: string;
    readonly from: Day;
    readonly until: Day | null;
  },
): Promise<void> {
  await transaction(env.store.db, async (tx) => {
    await insertTaxCertificate(tx, { orgId: organizationId, accountId, ...one }, env.now());
    await appendAudit(tx, env.id, organizationId, [
      {
        at: env.now(),
        author,
        action: "tax_certificate.added",
        target: { kind: "billing_account", id: accountId },
        before: null,
        after: one,
      },
    ]);
  });
}

async function record(
  env: Env,
  tx: Tx,
  author: Author,
  action: string,
  id: string,
  before: unknown,
  after: unknown,
): Promise<void> {
  await appendAudit(tx, env.id, providerChain, [
    {
      at: env.now(),
      author,
      action,
      target: { kind: action.split(".")[0] as string, id },
      before,
      after,
    },
  ]);
}
