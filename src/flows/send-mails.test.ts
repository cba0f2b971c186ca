import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { aCatalog, type Acme, anAccount, writeUsage } from "../../test/harness/billing.ts";
import { type TestEnv, testEnv } from "../../test/harness/database.ts";
import { type Mailbox, type MailboxOptions, openMailbox } from "../../test/harness/mailbox.ts";
import { system } from "../domain/audit/index.ts";
import { type LegalEntity, unconfiguredEntity } from "../domain/tax/index.ts";
import { type MailGateway, smtpMail } from "../gateways/mail.ts";
import { decimal } from "../kit/decimal.ts";
import { dayOf, instant } from "../kit/time.ts";
import { type OutboxMail, pageMails } from "../store/mail-outbox.ts";
import { creditInvoice, voidInvoice } from "./correct-invoice.ts";
import { issueInvoice } from "./issue-invoice.ts";
import { beginTaxRate, setLegalEntity } from "./manage-taxes.ts";
import { resendMail } from "./resend-mail.ts";
import { sendNextMail } from "./send-mails.ts";

const author = system("test");
const from = "billing@northwind.example";
const entity: LegalEntity = {
  ...unconfiguredEntity,
  name: "Nordwind GmbH",
  city: "München",
  postcode: "80331",
  street: "Straße 1",
  country: "DE",
  vatId: "DE136695976",
  email: "buchhaltung@northwind.example",
  electronicAddress: { scheme: "EM", address: "buchhaltung@northwind.example" },
  brand: { name: "Nordwind Zähler", color: "#0b5cad", footer: "Nordwind GmbH" },
  tax: "collects",
};
const catalog = `
meters:
  - { key: sms, name: SMS, event_type: sms.sent, aggregation: sum, value_property: value, value_kind: integer, unit: SMS }
price_books: [{ code: retail-eur, name: Retail, currency: EUR }]
skus: [{ code: SMS, name: SMS, meter: sms }]
prices:
  - { book: retail-eur, sku: SMS, effective_from: "2023-01-01T00:00:00Z", model: per_unit, currency: EUR, unit_amount: "0.05" }
`;

let env: TestEnv;
let mailbox: Mailbox;
let gateway: MailGateway;
let count = 0;

beforeAll(async () => {
  env = await testEnv({ at: "2025-07-20T00:00:00Z" });
  await aCatalog(env, catalog);
  await setLegalEntity(env, author, entity);
  await beginTaxRate(env, author, {
    country: "DE",
    region: null,
    productClass: "standard",
    name: "VAT",
    percent: decimal("19"),
    from: dayOf("2014-01-01"),
    until: null,
  });
});
afterAll(() => env.close());
beforeEach(() => {
  env.at("2025-07-20T00:00:00Z");
});
afterEach(async () => {
  gateway.close();
  await mailbox.close();
});

const open = async (options: MailboxOptions = {}) => {
  mailbox = await openMailbox(options);
  gateway = smtpMail(mailbox.url);
};
const send = () => sendNextMail(env, { gateway, from });

/** An account of an organization of its own with an invoice of June, German, 119.00. */
async function invoiced(profile: {
  apEmail?: string;
  billing?: string[];
}): Promise<Acme & { invoiceId: string }> {
  count += 1;
  const of = await anAccount(env, { slug: `c${count}`, currency: "EUR" });
  await env.owner.query(
    `update billing_account set address = $1, language = 'de', ap_email = $2, contacts = $3, name = 'Käufer & Söhne'
     where account_id = $4`,
    [
      JSON.stringify({ country: "DE", city: "Berlin", postalCode: "10115", lines: ["Weg 3"] }),
      profile.apEmail ?? null,
      JSON.stringify(
        (profile.billing ?? []).map((email) => ({ name: email, email, role: "billing" })),
      ),
      of.accountId,
    ],
  );
  await writeUsage(
    env,
    of,
    [{ time: "2025-06-10T12:00:00Z", type: "sms.sent", data: { value: "2000" } }],
    ({ data }) => ({ sms: data["value"] ?? "0" }),
  );
  const { invoiceId } = await issueInvoice(
    env,
    {
      orgId: of.orgId,
      account: `c${count}`,
      at: instant("2025-06-15T00:00:00Z"),
      createdBy: "test",
    },
    env.now(),
  );
  return { ...of, invoiceId };
}
const mailsOf = (of: Acme): Promise<OutboxMail[]> =>
  pageMails(env.store.db, { orgId: of.orgId, limit: 10 });

describe("an issued document", () => {
  test("R-119: is sent once, to everyone named, with its PDF, its subject in its own letters", async () => {
    await open();
    await invoiced({
      apEmail: "ap@kaeufer.example",
      billing: ["eins@kaeufer.example", "AP@kaeufer.example"],
    });
    expect(await send()).toMatchObject({ status: "sent", note: null });
    expect(await send()).toBeUndefined();
    expect(mailbox.mails).toHaveLength(1);
    const [mail] = mailbox.mails;
    expect(mail?.subject).toMatch(/^Nordwind Zähler: Rechnung INV-\d{6}, 119,00\u00a0€$/);
    expect(mail?.from).toEqual({ name: "Nordwind Zähler", address: from });
    expect(mail?.replyTo).toEqual([{ name: "", address: "buchhaltung@northwind.example" }]);
    expect(mail?.to?.map((one) => one.address)).toEqual([
      "ap@kaeufer.example",
      "eins@kaeufer.example",
    ]);
    const [pdf] = mail?.attachments ?? [];
    expect(pdf).toMatchObject({
      mimeType: "application/pdf",
      filename: expect.stringMatching(/^INV-\d{6}\.pdf$/),
    });
    const bytes = Buffer.from(pdf?.content as ArrayBuffer);
    expect(bytes.subarray(0, 5).toString()).toBe("%PDF-");
    expect(bytes.includes("EN 16931 electronic invoice")).toBe(true);
  });

  test("goes to ten at most", async () => {
    await open();
    const of = await invoiced({ billing: Array.from({ length: 14 }, (_, i) => `b${i}@x.example`) });
    await send();
    expect(mailbox.mails[0]?.to).toHaveLength(10);
    expect((await mailsOf(of))[0]?.recipients).toHaveLength(10);
  });

  test("of an account that names nobody is not sent, in sight; sent when somebody is named", async () => {
    await open();
    const of = await invoiced({});
    expect(await send()).toBeUndefined();
    const [mail] = await mailsOf(of);
    expect(mail).toMatchObject({ status: "unaddressed", recipients: [], subjectId: of.invoiceId });
    const resend = () => resendMail(env, author, of.orgId, mail?.messageId ?? "", env.now());
    await expect(resend()).rejects.toThrow(/names nobody/);
    await env.owner.query(
      "update billing_account set ap_email = 'new@x.example' where account_id = $1",
      [of.accountId],
    );
    expect(await resend()).toMatchObject({ status: "queued", recipients: ["new@x.example"] });
    await send();
    expect(mailbox.mails.map((one) => one.to?.[0]?.address)).toEqual(["new@x.example"]);
  });

  test("of a sandbox never leaves", async () => {
    await open();
    const { rows } = await env.owner.query<{ org_id: string }>(
      "insert into organization (org_id, slug, name, created_at, test_clock_at) values ('org_sandbox', 'sandbox', 's', now(), '2025-07-20') returning org_id",
    );
    const of = await anAccount(env, {
      slug: "boxed",
      currency: "EUR",
      orgId: rows[0]?.org_id ?? "",
    });
    await env.owner.query(
      "update billing_account set ap_email = 'real@x.example', address = '{\"country\":\"DE\"}' where account_id = $1",
      [of.accountId],
    );
    await writeUsage(
      env,
      of,
      [{ time: "2025-06-10T12:00:00Z", type: "sms.sent", data: { value: "1" } }],
      () => ({ sms: "1" }),
    );
    await issueInvoice(
      env,
      { orgId: of.orgId, account: "boxed", at: instant("2025-06-15T00:00:00Z"), createdBy: "test" },
      env.now(),
    );
    expect(await send()).toBeUndefined();
    expect((await mailsOf(of)).map((mail) => mail.status)).toEqual(["sandbox"]);
  });

  test("a credit note has a mail of its own; a document voided before it left is not sent", async () => {
    await open();
    const credited = await invoiced({ apEmail: "a@x.example" });
    await creditInvoice(
      env,
      {
        orgId: credited.orgId,
        invoice: credited.invoiceId,
        request: { kind: "all" },
        reason: "goodwill",
        reasonCode: "goodwill",
      },
      author,
      env.now(),
    );
    await send();
    await send();
    expect(mailbox.mails.map((mail) => String(mail.subject?.split(" ")[2])).toSorted()).toEqual([
      "Gutschrift",
      "Rechnung",
    ]);

    const voided = await invoiced({ apEmail: "b@x.example" });
    await voidInvoice(
      env,
      { orgId: voided.orgId, invoice: voided.invoiceId, reason: "wrong" },
      author,
      env.now(),
    );
    expect(await send()).toMatchObject({ status: "dead", note: expect.stringMatching(/is void$/) });
    expect(mailbox.mails).toHaveLength(2);
  });
});

describe("a mail server", () => {
  test("that is away for a while gets the mail when it is back, once", async () => {
    await open();
    const { port } = mailbox;
    await mailbox.close();
    const of = await invoiced({ apEmail: "a@x.example" });
    expect(await send()).toMatchObject({
      status: "queued",
      note: expect.stringMatching(/ECONNREFUSED/),
    });
    expect(await send()).toBeUndefined();
    env.at("2025-07-20T00:01:00Z");
    expect(await send()).toMatchObject({ status: "queued" });
    mailbox = await openMailbox({ port });
    expect(await send()).toBeUndefined();
    env.at("2025-07-20T00:06:00Z");
    expect(await send()).toMatchObject({ status: "sent" });
    env.at("2025-08-20T00:00:00Z");
    expect(await send()).toBeUndefined();
    expect(mailbox.mails).toHaveLength(1);
    expect((await mailsOf(of))[0]).toMatchObject({ status: "sent", attempts: 3, lastError: null });
  });

  test("that says never is believed: dead, in sight, and sent to the mended address under the same id", async () => {
    await open({ refuse: (address) => (address === "gone@x.example" ? 550 : undefined) });
    const of = await invoiced({ apEmail: "gone@x.example" });
    expect(await send()).toMatchObject({ status: "dead", note: expect.stringMatching(/550/) });
    env.at("2026-07-20T00:00:00Z");
    expect(await send()).toBeUndefined();
    const [dead] = await mailsOf(of);
    expect(dead).toMatchObject({ status: "dead", attempts: 1 });

    await env.owner.query(
      "update billing_account set ap_email = 'here@x.example' where account_id = $1",
      [of.accountId],
    );
    await resendMail(env, author, of.orgId, dead?.messageId ?? "", env.now());
    expect(await send()).toMatchObject({ status: "sent" });
    expect(mailbox.mails.map((mail) => mail.messageId)).toEqual([
      `<${dead?.messageId}@northwind.example>`,
    ]);
  });

  test("that says later is asked for a week, then the mail is dead", async () => {
    await open({ refuse: () => 450 });
    const of = await invoiced({ apEmail: "busy@x.example" });
    let attempts = 0;
    for (let hour = 0; hour < 24 * 14; hour++) {
      env.at(new Date(Date.UTC(2025, 6, 20, hour)).toISOString());
      if (await send()) attempts += 1;
    }
    const [mail] = await mailsOf(of);
    expect(mail).toMatchObject({ status: "dead", attempts });
    expect(attempts).toBeGreaterThan(8);
  });

  test("that refuses one of two recipients has sent the mail, and the other is named", async () => {
    await open({ refuse: (address) => (address === "no@x.example" ? 550 : undefined) });
    const of = await invoiced({ apEmail: "yes@x.example", billing: ["no@x.example"] });
    await send();
    expect(mailbox.mails).toHaveLength(1);
    expect((await mailsOf(of))[0]).toMatchObject({
      status: "sent",
      lastError: "refused for no@x.example",
    });
  });

  test("sent again on request is another mail with another id", async () => {
    await open();
    const of = await invoiced({ apEmail: "a@x.example" });
    await send();
    const [mail] = await mailsOf(of);
    await resendMail(env, author, of.orgId, mail?.messageId ?? "", env.now());
    await send();
    expect(new Set(mailbox.mails.map((one) => one.messageId)).size).toBe(2);
    expect(await mailsOf(of)).toHaveLength(2);
  });
});
