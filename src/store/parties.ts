import { sql } from "kysely";
import type { FxRate } from "../domain/exchange/index.ts";
import type { Buyer, Parties } from "../domain/invoicing/index.ts";
import type { LegalEntity, TaxBuyer } from "../domain/tax/index.ts";
import { dayOf } from "../kit/time.ts";
import { currency } from "../kit/currency.ts";
import { readDecimal } from "./columns.ts";
import type { Db } from "./connect.ts";
import { accountKeyText } from "./invoice-facts.ts";
import { getLegalEntity, listTaxRates } from "./tax.ts";

type Address = {
  lines?: string[];
  city?: string;
  postalCode?: string;
  region?: string;
  country?: string;
};
type BuyerRow = {
  org_id: string;
  account_id: string;
  name: string;
  legal_name: string | null;
  address: Address | null;
  tax_ids: { type: string; value: string }[];
  ap_email: string | null;
  po_number: string | null;
  language: string;
  checked_id: string | null;
  is_valid: boolean | null;
  certificate: string | null;
  certificate_country: string | null;
  from_on: string | null;
  until_on: string | null;
  partner_brand: LegalEntity["brand"] | null;
};

/**
 * Who issues to whom, for many accounts at once: three queries however many there are. The newest check of a tax id counts,
 * and the certificate that began last.
 */
export async function loadParties(
  db: Db,
  accounts: readonly {
    readonly orgId: string;
    readonly accountId: string;
    readonly legalEntity: string;
  }[],
): Promise<Map<string, Parties>> {
  const { rows } = await sql<BuyerRow>`
    select a.org_id, a.account_id, a.name, a.legal_name, a.address, a.tax_ids, a.ap_email, a.po_number, a.language,
           p.definition -> 'brand' as partner_brand, c.tax_id as checked_id, c.is_valid, e.certificate, e.country as certificate_country, e.from_on, e.until_on
    from unnest(${accounts.map((one) => one.orgId)}::text[], ${accounts.map((one) => one.accountId)}::text[])
      as wanted (org_id, account_id)
    join billing_account a on a.org_id = wanted.org_id and a.account_id = wanted.account_id
    join organization o on o.org_id = a.org_id
    left join organization partner on partner.org_id = o.parent_org_id and partner.kind = 'partner'
    left join legal_entity p on p.code = partner.slug
    left join lateral (
      select tax_id, is_valid from tax_id_check c
      where c.org_id = a.org_id and c.account_id = a.account_id order by checked_at desc limit 1) c on true
    left join lateral (
      select certificate, country, from_on, until_on from tax_certificate e
      where e.org_id = a.org_id and e.account_id = a.account_id order by from_on desc limit 1) e on true`.execute(
    db,
  );
  const rates = await listTaxRates(db);
  const exchange = await loadExchange(db);
  const issuers = new Map<string, LegalEntity>();
  for (const { legalEntity } of accounts) {
    if (!issuers.has(legalEntity)) issuers.set(legalEntity, await getLegalEntity(db, legalEntity));
  }
  const issuerOf = new Map(
    accounts.map((one) => [
      accountKeyText(one.orgId, one.accountId),
      issuers.get(one.legalEntity) as LegalEntity,
    ]),
  );
  return new Map(
    rows.map((row) => {
      const key = accountKeyText(row.org_id, row.account_id);
      return [
        key,
        {
          issuer: branded(issuerOf.get(key) as LegalEntity, row.partner_brand),
          buyer: buyerOf(row),
          rates,
          exchange,
        },
      ];
    }),
  );
}

// A partner's customers see the partner's brand; who issues stays who issues.
const branded = (issuer: LegalEntity, brand: LegalEntity["brand"] | null): LegalEntity =>
  brand === null ? issuer : { ...issuer, brand };

/** The recorded rates into any currency that some issuer keeps its books in. */
async function loadExchange(db: Db): Promise<FxRate[]> {
  const { rows } = await sql<{
    from_currency: string;
    to_currency: string;
    on_day: string;
    rate: string;
    source: string;
  }>`
    select from_currency, to_currency, on_day, rate, source from fx_rate
    where to_currency in (select definition ->> 'accountingCurrency' from legal_entity)
    order by on_day, from_currency, source`.execute(db);
  return rows.map((row) => ({
    from: currency(row.from_currency),
    to: currency(row.to_currency),
    on: dayOf(row.on_day),
    rate: readDecimal(row.rate),
    source: row.source,
  }));
}

function buyerOf(row: BuyerRow): Buyer {
  return {
    name: row.legal_name ?? row.name,
    street: row.address?.lines?.join(", ") ?? "",
    city: row.address?.city ?? "",
    postcode: row.address?.postalCode ?? "",
    email: row.ap_email,
    purchaseOrder: row.po_number,
    language: row.language,
    tax: taxBuyerOf(row),
  };
}

function taxBuyerOf(row: BuyerRow): TaxBuyer {
  const vatId = (row.tax_ids.find((one) => one.type === "eu_vat") ?? row.tax_ids[0])?.value ?? null;
  return {
    place: { country: row.address?.country ?? "", region: row.address?.region || null },
    vatId,
    vatIdValid: vatId !== null && row.checked_id === vatId && row.is_valid === true,
    exemption:
      row.certificate === null
        ? null
        : {
            country: row.certificate_country as string,
            certificate: row.certificate,
            from: dayOf(row.from_on as string),
            until: row.until_on === null ? null : dayOf(row.until_on),
          },
  };
}
