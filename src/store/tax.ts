import { currency } from "../kit/currency.ts";
import { decimal } from "../kit/decimal.ts";
import { type Day, dayOf, type Instant } from "../kit/time.ts";
import { type LegalEntity, type TaxRate, unconfiguredEntity } from "../domain/tax/index.ts";
import type { FxRate } from "../domain/exchange/index.ts";
import { writeDecimal, writeInstant } from "./columns.ts";
import type { Db } from "./connect.ts";

/** The issuer of that code; the unconfigured one when nobody has set it up. */
export async function getLegalEntity(db: Db, code: string): Promise<LegalEntity> {
  const row = await db
    .selectFrom("legal_entity")
    .select("definition")
    .where("code", "=", code)
    .executeTakeFirst();
  return row ? (row.definition as LegalEntity) : { ...unconfiguredEntity, code };
}

export async function listLegalEntities(db: Db): Promise<LegalEntity[]> {
  const rows = await db.selectFrom("legal_entity").select("definition").orderBy("code").execute();
  return rows.map((row) => row.definition as LegalEntity);
}

export async function saveLegalEntity(db: Db, entity: LegalEntity, now: Instant): Promise<void> {
  const row = { definition: JSON.stringify(entity), updated_at: writeInstant(now) };
  await db
    .insertInto("legal_entity")
    .values({ code: entity.code, ...row })
    .onConflict((conflict) => conflict.column("code").doUpdateSet(row))
    .execute();
}

/** The whole table of rates, small and dated. */
export async function listTaxRates(db: Db): Promise<TaxRate[]> {
  const rows = await db
    .selectFrom("tax_rate")
    .selectAll()
    .orderBy("country")
    .orderBy("region")
    .orderBy("product_class")
    .orderBy("name")
    .orderBy("from_on")
    .execute();
  return rows.map((row) => ({
    country: row.country,
    region: row.region === "" ? null : row.region,
    productClass: row.product_class,
    name: row.name,
    percent: decimal(row.percent),
    from: dayOf(row.from_on),
    until: row.until_on === null ? null : dayOf(row.until_on),
  }));
}

/** Start a rate; the one of the same name before it ends on that day. What was in force before stays as it was. */
export async function startTaxRate(db: Db, rate: TaxRate): Promise<void> {
  const region = rate.region ?? "";
  await db
    .updateTable("tax_rate")
    .set({ until_on: rate.from })
    .where("country", "=", rate.country)
    .where("region", "=", region)
    .where("product_class", "=", rate.productClass)
    .where("name", "=", rate.name)
    .where("from_on", "<", rate.from)
    .where((where) => where.or([where("until_on", "is", null), where("until_on", ">", rate.from)]))
    .execute();
  await db
    .insertInto("tax_rate")
    .values({
      country: rate.country,
      region,
      product_class: rate.productClass,
      name: rate.name,
      percent: writeDecimal(rate.percent),
      from_on: rate.from,
      until_on: rate.until,
    })
    .execute();
}

export type TaxIdCheck = {
  readonly orgId: string;
  readonly accountId: string;
  readonly taxId: string;
  readonly isValid: boolean;
  readonly method: string;
  readonly evidence: unknown;
};

export async function appendTaxIdCheck(db: Db, check: TaxIdCheck, now: Instant): Promise<void> {
  await db
    .insertInto("tax_id_check")
    .values({
      org_id: check.orgId,
      account_id: check.accountId,
      tax_id: check.taxId,
      checked_at: writeInstant(now),
      is_valid: check.isValid,
      method: check.method,
      evidence: JSON.stringify(check.evidence),
    })
    .execute();
}

export type TaxCertificate = {
  readonly orgId: string;
  readonly accountId: string;
  readonly country: string;
  readonly certificate: string;
  readonly from: Day;
  readonly until: Day | null;
};

export async function insertTaxCertificate(
  db: Db,
  one: TaxCertificate,
  now: Instant,
): Promise<void> {
  await db
    .insertInto("tax_certificate")
    .values({
      org_id: one.orgId,
      account_id: one.accountId,
      country: one.country,
      certificate: one.certificate,
      from_on: one.from,
      until_on: one.until,
      created_at: writeInstant(now),
    })
    .execute();
}

/** Record a published exchange rate. A day's rate of a source is written once. */
export async function insertFxRate(db: Db, rate: FxRate, now: Instant): Promise<boolean> {
  const result = await db
    .insertInto("fx_rate")
    .values({
      from_currency: rate.from,
      to_currency: rate.to,
      on_day: rate.on,
      rate: writeDecimal(rate.rate),
      source: rate.source,
      recorded_at: writeInstant(now),
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** Rates between two days, both included, oldest first. */
export async function listFxRates(db: Db, from: Day, to: Day): Promise<FxRate[]> {
  const rows = await db
    .selectFrom("fx_rate")
    .selectAll()
    .where("on_day", ">=", from)
    .where("on_day", "<=", to)
    .orderBy("on_day")
    .orderBy("from_currency")
    .orderBy("to_currency")
    .execute();
  return rows.map((row) => ({
    from: currency(row.from_currency),
    to: currency(row.to_currency),
    on: dayOf(row.on_day),
    rate: decimal(row.rate),
    source: row.source,
  }));
}
