import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { finishBillingRun, startBillingRun } from "../../src/flows/billing-run.ts";
import { aCatalog, anAccount, writeUsage } from "../harness/billing.ts";
import { type TestEnv, testEnv } from "../harness/database.ts";
import { type Mailbox, openMailbox } from "../harness/mailbox.ts";

const catalog = `
meters:
  - { key: calls, name: Calls, event_type: call, aggregation: sum, value_property: n, value_kind: integer, unit: call }
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
skus: [{ code: API, name: API calls, meter: calls }]
prices:
  - { book: retail-usd, sku: API, effective_from: "2024-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.01" }
`;
const invoicesCount = 200;

let env: TestEnv;
let mailbox: Mailbox;
beforeAll(async () => {
  env = await testEnv({ at: "2025-02-04T00:00:00Z" });
  mailbox = await openMailbox({ hesitationMs: 5 });
  await aCatalog(env, catalog);
  let orgId: string | undefined;
  for (let i = 0; i < invoicesCount; i++) {
    const of = await anAccount(env, { slug: `a${i}`, ...(orgId ? { orgId } : {}) });
    orgId ??= of.orgId;
    await writeUsage(
      env,
      of,
      [{ time: "2025-01-10T00:00:00Z", type: "call", data: { n: "100" } }],
      () => ({ calls: "100" }),
    );
  }
  await env.owner.query("update billing_account set ap_email = slug || '@customer.example'");
});
afterAll(async () => {
  await mailbox.close();
  await env.close();
});

test("J7.3: whoever kills the sender, as often as they like, every invoice's mail arrives, once by its id", async () => {
  const { runId } = await startBillingRun(env, { orgId: null, asOf: env.now(), createdBy: "test" });
  expect((await finishBillingRun(env, runId)).status).toBe("closed");
  const { rows: queued } = await env.owner.query<{ number: string; message_id: string }>(
    "select number, message_id from mail_outbox m join invoice i on i.org_id = m.org_id and i.invoice_id = m.subject_id where m.status = 'queued' order by number",
  );
  expect(queued).toHaveLength(invoicesCount);

  const script = new URL("./mail-worker.mjs", import.meta.url).pathname;
  const launch = () => spawn(process.execPath, [script, env.url, mailbox.url], { stdio: "ignore" });
  const left = async () =>
    Number(
      (await env.owner.query("select count(*) from mail_outbox where status <> 'sent'")).rows[0]
        .count,
    );
  const senders: ChildProcess[] = [launch(), launch()];
  let killed = 0;
  try {
    for (let seen = 0; (await left()) > 0; ) {
      await sleep(100);
      // In the middle of the work, not while a process is still starting.
      if (mailbox.mails.length - seen < 25 || killed >= 6) continue;
      seen = mailbox.mails.length;
      const at = killed % senders.length;
      senders[at]?.kill("SIGKILL");
      senders[at] = launch();
      killed += 1;
    }
  } finally {
    for (const sender of senders) sender.kill("SIGKILL");
  }

  const ids = mailbox.mails.map((mail) => String(mail.messageId));
  console.log(
    `${killed} kills; ${invoicesCount} mails; ${ids.length} arrivals, ${ids.length - new Set(ids).size} of them repetitions`,
  );
  expect(killed).toBeGreaterThan(3);
  expect([...new Set(ids)].toSorted()).toEqual(
    queued.map((one) => `<${one.message_id}@provider.example>`).toSorted(),
  );
  const numbers = new Set(
    mailbox.mails.map((mail) => String(/INV-\d{6}/.exec(mail.subject ?? "")?.[0])),
  );
  expect([...numbers].toSorted()).toEqual(queued.map((one) => one.number));
  // A repetition is the same mail, so that dropping it loses nothing.
  const byId = new Map<string | undefined, Set<string>>();
  for (const mail of mailbox.mails) {
    const text = JSON.stringify([mail.subject, mail.text, mail.html, mail.date, mail.to]);
    byId.set(mail.messageId, (byId.get(mail.messageId) ?? new Set()).add(text));
  }
  expect([...byId.values()].every((texts) => texts.size === 1)).toBe(true);
}, 300_000);
