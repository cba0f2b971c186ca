import { fileURLToPath } from "node:url";
import type { Permission } from "../../domain/access/index.ts";
import { system } from "../../domain/audit/index.ts";
import { periodAt } from "../../domain/invoicing/index.ts";
import { unconfiguredEntity } from "../../domain/tax/index.ts";
import { applyCatalog } from "../../flows/apply-catalog.ts";
import { bindProject } from "../../flows/bind-project.ts";
import { buyBatch } from "../../flows/buy-batch.ts";
import { subscribe } from "../../flows/change-subscription.ts";
import type { Env } from "../../flows/env.ts";
import { ingestOf } from "../../flows/ingest-usage.ts";
import { issueInvoice } from "../../flows/issue-invoice.ts";
import { openAccount } from "../../flows/manage-accounts.ts";
import { createFirstKey } from "../../flows/manage-api-keys.ts";
import { createOrganization } from "../../flows/manage-organizations.ts";
import { createProject } from "../../flows/manage-projects.ts";
import { setLegalEntity } from "../../flows/manage-taxes.ts";
import { currency } from "../../kit/currency.ts";
import { day, type Instant, minute, type Period, shift } from "../../kit/time.ts";
import { findOrganization } from "../../store/organizations.ts";
import { pageInvoices } from "../../store/invoices.ts";
import { readCatalogFile } from "../catalog-file.ts";
import { monthOfUsage } from "./month-of-usage.ts";

const folder = fileURLToPath(new URL("../../../examples/catalog", import.meta.url));
const files = ["services", "meters", "skus", "prices", "plans"];
const author = system("demo", "tallyline demo");
const slug = "acme";

export type Told = {
  readonly organizationId: string;
  readonly invoiceId: string;
  readonly period: Period;
  /** The secret of a provider key, good for everything; null when the story was told before. */
  readonly secret: string | null;
  readonly events: number;
};

/**
 * Tell the story of one month: a provider with a catalog, a customer on a plan with a batch of messages, a month of usage, an
 * invoice. It happens in the last whole month before now. Told again, it finds everything there and changes nothing.
 */
export async function tellStory(env: Env, step: (text: string) => void): Promise<Told> {
  const now = env.now();
  const calendar = { timeZone: "UTC", invoiceDay: 1, cycle: "month" } as const;
  const period = periodAt(calendar, shift(periodAt(calendar, now).startsAt, -day));
  const known = await findOrganization(env.store.db, slug);
  if (known) return toldBefore(env, known.organization.id, period);

  const at = (moment: Instant): Env => ({ ...env, now: () => moment });
  const before = at(shift(period.startsAt, -day));
  step("catalog: three products, three plans (examples/catalog)");
  await setLegalEntity(before, author, {
    ...unconfiguredEntity,
    name: "Northwind Metering",
    country: "US",
    brand: {
      name: "Northwind Metering",
      color: "#0b5cad",
      footer: "Northwind Metering, a demonstration of Tallyline",
    },
  });
  const documents = await Promise.all(
    files.map(async (name) => ({
      ...(await readCatalogFile(`${folder}/${name}.yaml`)),
      name: `${name}.yaml`,
    })),
  );
  await applyCatalog(before, author, documents);

  step("organization acme, project web, account acme-usd, bound since the day before");
  const organization = await createOrganization(before, author, {
    slug,
    name: "Acme Recruiting",
    kind: "direct",
    parent: null,
    testClockAt: null,
  });
  await createProject(before, author, organization.id, { slug: "web", name: "Web" });
  const account = await openAccount(
    before,
    author,
    organization.id,
    {
      slug: "acme-usd",
      name: "Acme, US dollars",
      currency: currency("USD"),
      timeZone: "UTC",
      invoiceDay: 1,
      cycle: "month",
      legalName: "Acme Recruiting Inc.",
      address: {
        lines: ["1 Main Street"],
        city: "Springfield",
        postalCode: "62701",
        region: "IL",
        country: "US",
      },
      taxIds: [],
      contacts: [],
      apEmail: "ap@acme.example",
      poNumber: "PO-4471",
      language: "en",
    },
    {
      netDays: 30,
      creditLimit: null,
      agreementReference: null,
      earlyDiscount: null,
      lateFee: null,
    },
  );
  await bindProject(
    before,
    { permissions: new Set<Permission>() },
    author,
    organization.id,
    "web",
    { account: "acme-usd", effectiveFrom: null, supersedes: null },
  );

  step("plan Professional, and batches of SMS, AI tokens and sponsorships bought");
  await subscribe(before, author, organization.id, {
    account: "acme-usd",
    plan: "professional",
    startsAt: period.startsAt,
  });
  for (const sku of ["USAGE-SMS-1000", "USAGE-AI-10000", "USAGE-JOBSPONSOR-10"]) {
    await buyBatch(at(shift(period.startsAt, minute)), author, account, {
      sku,
      count: 1,
      settlement: "invoice",
      kind: "batch",
      requestKey: `demo-${sku}`,
    });
  }

  const usage = monthOfUsage(period, "web");
  step(`${usage.length.toLocaleString("en")} usage events through the ingest pipeline`);
  const ingest = ingestOf(env);
  for (let i = 0; i < usage.length; i += 1000) {
    const events = usage.slice(i, i + 1000);
    // Received while the month was open, as usage is: what arrives after it is final draws nothing that has lapsed.
    const received = { orgId: organization.id, events, now: period.endsAt, isReplay: true };
    const fates = await ingest.submit(received);
    const lost = fates.find((fate) => fate.kind !== "accepted");
    if (lost) throw new Error(`the demo's usage was not accepted: ${JSON.stringify(lost)}`);
  }

  step("the invoice: drafted, recomputed from raw events by a second path, issued");
  const { invoiceId } = await issueInvoice(
    env,
    {
      orgId: organization.id,
      account: "acme-usd",
      at: period.startsAt,
      force: true,
      createdBy: "demo",
    },
    now,
  );
  const { secret } = await createFirstKey(env, {
    organizationId: null,
    projectId: null,
    name: "demo",
    roles: ["provider_admin"],
    permissions: [],
    expiresAt: null,
  });
  return { organizationId: organization.id, invoiceId, period, secret, events: usage.length };
}

async function toldBefore(env: Env, organizationId: string, period: Period): Promise<Told> {
  const [invoice] = await pageInvoices(env.store.db, { orgId: organizationId, limit: 1 });
  if (!invoice)
    throw new Error(
      "there is an organization named acme that the demo did not make: use another --data-dir",
    );
  return {
    organizationId,
    invoiceId: invoice.invoiceId,
    period: invoice.period ?? period,
    secret: null,
    events: 0,
  };
}
