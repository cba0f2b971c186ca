import { z } from "@hono/zod-openapi";
import { getAccount } from "../../flows/manage-accounts.ts";
import {
  addTaxCertificate,
  beginTaxRate,
  checkBuyerTaxId,
  recordFxRate,
  setLegalEntity,
} from "../../flows/manage-taxes.ts";
import { currency } from "../../kit/currency.ts";
import { decimal } from "../../kit/decimal.ts";
import { getLegalEntity, listFxRates, listLegalEntities, listTaxRates } from "../../store/tax.ts";
import { AccountParam } from "../contract/accounts.ts";
import {
  CertificateBody,
  day,
  DayText,
  EntityBody,
  entityFrom,
  EntityParam,
  entityView,
  EntityView,
  FxRateBody,
  fxRateView,
  TaxIdBody,
  TaxIdCheckView,
  TaxRateBody,
  taxRateView,
} from "../contract/taxes.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";

const group = "Taxes and currencies";
const listOf = <T extends z.ZodType>(item: T) => z.strictObject({ data: z.array(item) });

const listEntities = endpoint({
  method: "GET",
  path: "/v1/legal-entities",
  id: "listLegalEntities",
  group,
  summary: "List the legal entities that issue documents",
  permission: "installation.read",
  response: listOf(EntityView),
  run: async (env) => ({ data: (await listLegalEntities(env.store.db)).map(entityView) }),
});

const readEntity = endpoint({
  method: "GET",
  path: "/v1/legal-entities/{entity}",
  id: "getLegalEntity",
  group,
  summary: "See a legal entity",
  permission: "installation.read",
  params: EntityParam,
  response: EntityView.extend({ country: z.string() }),
  run: async (env, { params }) => entityView(await getLegalEntity(env.store.db, params.entity)),
});

const putEntity = endpoint({
  method: "PUT",
  path: "/v1/legal-entities/{entity}",
  id: "setLegalEntity",
  group,
  summary: "Set up who issues documents",
  description:
    "Documents that are already issued keep the name, address and tax they were issued with.",
  permission: "installation.write",
  params: EntityParam,
  body: EntityBody,
  response: EntityView,
  run: async (env, { author, params, body }) =>
    entityView(await setLegalEntity(env, author, entityFrom(params.entity, body))),
});

const listRates = endpoint({
  method: "GET",
  path: "/v1/tax-rates",
  id: "listTaxRates",
  group,
  summary: "List tax rates, past and present",
  permission: "installation.read",
  response: listOf(TaxRateBody),
  run: async (env) => ({ data: (await listTaxRates(env.store.db)).map(taxRateView) }),
});

const beginRate = endpoint({
  method: "POST",
  path: "/v1/tax-rates",
  id: "beginTaxRate",
  group,
  summary: "Let a tax rate begin",
  description:
    "The rate of the same name before it ends on that day. Rates apply by the day of supply.",
  permission: "taxes.write",
  body: TaxRateBody,
  response: TaxRateBody,
  success: 201,
  problems: ["tax_rate_overlaps"],
  run: async (env, { author, body }) =>
    taxRateView(
      await beginTaxRate(env, author, {
        country: body.country,
        region: body.region,
        productClass: body.product_class,
        name: body.name,
        percent: decimal(body.percent),
        from: day(body.from),
        until: body.until === null ? null : day(body.until),
      }),
    ),
});

const listFx = endpoint({
  method: "GET",
  path: "/v1/fx-rates",
  id: "listFxRates",
  group,
  summary: "List recorded exchange rates between two days",
  permission: "installation.read",
  query: z.object({ from: DayText, to: DayText }),
  response: listOf(FxRateBody),
  run: async (env, { query }) => ({
    data: (await listFxRates(env.store.db, day(query.from), day(query.to))).map(fxRateView),
  }),
});

const recordFx = endpoint({
  method: "POST",
  path: "/v1/fx-rates",
  id: "recordFxRate",
  group,
  summary: "Record a published exchange rate",
  description:
    "Amounts change currency only by a recorded rate of a stated day. A recorded rate is never changed.",
  permission: "taxes.write",
  body: FxRateBody,
  response: FxRateBody,
  success: 201,
  problems: ["fx_rate_recorded"],
  run: async (env, { author, body }) =>
    fxRateView(
      await recordFxRate(env, author, {
        from: currency(body.from),
        to: currency(body.to),
        on: day(body.on),
        rate: decimal(body.rate),
        source: body.source,
      }),
    ),
});

const addCertificate = endpoint({
  method: "POST",
  path: "/v1/organizations/{organization}/accounts/{account}/tax-certificates",
  id: "addTaxCertificate",
  group,
  summary: "Record an exemption certificate of a buyer",
  permission: "taxes.write",
  params: AccountParam,
  body: CertificateBody,
  response: CertificateBody,
  success: 201,
  problems: ["account_not_found"],
  run: async (env, { author, organization, params, body }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    await addTaxCertificate(env, author, organization.id, account.id, {
      country: body.country,
      certificate: body.certificate,
      from: day(body.from),
      until: body.until === null ? null : day(body.until),
    });
    return body;
  },
});

const checkTaxId = endpoint({
  method: "POST",
  path: "/v1/organizations/{organization}/accounts/{account}/tax-id-checks",
  id: "checkTaxId",
  group,
  summary: "Check a buyer's tax id and keep the answer as evidence",
  description:
    "Form and check digit. Reverse charge applies only while the newest check of the account's id is good.",
  permission: "taxes.write",
  params: AccountParam,
  body: TaxIdBody,
  response: TaxIdCheckView,
  success: 201,
  problems: ["account_not_found"],
  run: async (env, { author, organization, params, body }) => {
    const account = await getAccount(env.store.db, organization.id, params.account);
    const check = await checkBuyerTaxId(env, author, organization.id, account.id, body.tax_id);
    return {
      tax_id: check.taxId,
      valid: check.isValid,
      method: check.method,
      evidence: check.evidence,
    };
  },
});

export const taxRoutes: readonly Endpoint[] = [
  listEntities,
  readEntity,
  putEntity,
  listRates,
  beginRate,
  listFx,
  recordFx,
  addCertificate,
  checkTaxId,
];
