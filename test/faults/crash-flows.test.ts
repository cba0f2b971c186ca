import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { endpoints } from "../../src/api/routes.ts";
import { type App, buildApp } from "../../src/api/server.ts";
import type { ChargeRequest } from "../../src/domain/payments/index.ts";
import type { Env } from "../../src/flows/env.ts";
import { openIngest } from "../../src/flows/ingest-usage.ts";
import {
  type SimulatedPayments,
  simulatedPayments,
} from "../../src/gateways/simulated-payments.ts";
import { handlers, type JobName } from "../../src/jobs/handlers.ts";
import { currency } from "../../src/kit/currency.ts";
import { idMaker } from "../../src/kit/ids.ts";
import { money } from "../../src/kit/money.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { openStore } from "../../src/store/connect.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { apply, exampleCatalog } from "../harness/catalog.ts";
import { asTemplate, type TestEnv, testEnv } from "../harness/database.ts";
import { type Digest, differences, digestOf, exactDigest } from "../harness/digest.ts";
import { type Break, fragileLine } from "./fragile-line.ts";

const acme = "/v1/organizations/acme";
const account = `${acme}/accounts/acme-usd`;

/** A running server and its jobs, as somebody outside sees them. */
type Place = {
  readonly env: Env;
  /** A request as its sender repeats it: with the same key each time. Refuses answers that are not 2xx. */
  ask(method: string, path: string, body?: unknown): Promise<unknown>;
  job(name: JobName): Promise<unknown>;
};

type Act = {
  readonly name: string;
  /** What has to be before it can happen; tells the names that `run` needs. */
  readonly prepare?: (place: Place) => Promise<Record<string, string> | void>;
  /** When it happens; the scene ends on the 5th of February. */
  readonly at?: string;
  /** What the payment processor already knows. */
  readonly charged?: (names: Names) => ChargeRequest;
  readonly run: (place: Place, names: Names) => Promise<unknown>;
  /** Statements it consists of at the least: it was really interrupted, and not refused. */
  readonly least: number;
};
type Names = Readonly<Record<string, string>>;

const event = (id: string, type: string, time: string, data: object, over: object = {}) => ({
  source: "test",
  id,
  type,
  subject: "web",
  time,
  data,
  ...over,
});
const send = (place: Place, events: readonly object[]) => place.ask("POST", "/v1/events", events);
const sms = (id: string, time: string, value: string, over: object = {}) =>
  event(id, "sms.sent", time, { value }, over);
const buy = (place: Place, settlement = "card") =>
  place.ask("POST", `${account}/purchases`, { sku: "USAGE-SMS-1000", settlement });
const idOf = (answer: unknown) => (answer as { id: string }).id;

/**
 * A customer in the middle of things: two accounts, units, a subscription, an issued invoice with its mail, usage that waits
 * for a payer.
 */
async function aScene(place: Place, api: TestApi): Promise<Record<string, string>> {
  const { env } = api;
  await apply(env, exampleCatalog());
  await env.owner.query("update meter set rolled_up = true");
  await place.ask("POST", `${acme}/accounts`, {
    slug: "other",
    name: "Other",
    currency: "USD",
  });
  await place.ask("POST", `${acme}/projects`, { slug: "unbound", name: "Unbound" });
  await env.owner.query(
    "update billing_account set terms_granted_at = created_at, ap_email = 'ap@customer.example', status = 'ready'",
  );
  const subscribed = (await place.ask("POST", `${acme}/subscriptions`, {
    account: "acme-usd",
    plan: "basic",
  })) as {
    subscription: { id: string };
  };
  await buy(place);
  env.at("2025-01-20T00:00:00Z");
  await send(place, [
    sms("e1", "2025-01-10T00:00:00Z", "1400"),
    event("e2", "api.requested", "2025-01-10T00:00:00Z", { value: "70000" }),
    sms("e3", "2025-01-10T00:00:00Z", "50", { subject: "unbound" }),
  ]);
  env.at("2025-02-05T00:00:00Z");
  await place.ask("POST", `${account}/invoices`, { period: "2025-01-15T00:00:00Z" });
  const { rows } = await env.owner.query<{ binding_id: string }>("select binding_id from binding");
  const overage = await env.owner.query<{ line_no: number }>(
    "select line_no from invoice_line where sku_code = 'USAGE-SMS-OVERAGE'",
  );
  return {
    line: String(overage.rows[0]?.line_no),
    subscription: subscribed.subscription.id,
    binding: rows[0]?.binding_id ?? "",
    invoice: "INV-000001",
  };
}

const dispute = async (place: Place, { invoice, line }: Names) => {
  const opened = await place.ask("POST", `${acme}/invoices/${invoice}/disputes`, {
    line_no: Number(line),
    message: "not mine",
  });
  return { dispute: idOf(opened) };
};

/** Usage of January after its invoice, where the account has it go another way than the next one. */
async function lateUsage(place: Place, policy: string): Promise<void> {
  await place.env.store.pool.query("update billing_account set late_usage = $1", [policy]);
  await send(place, [event("late", "api.requested", "2025-01-10T00:00:00Z", { value: "30000" })]);
}

const overpay = async (place: Place): Promise<void> => {
  await place.ask("POST", `${acme}/invoices/INV-000001/payments`, {
    amount: "500.00",
    currency: "USD",
    received_on: "2025-02-05",
    reference: "too much",
  });
};

const acts: readonly Act[] = [
  {
    name: "usage is received, and draws units",
    prepare: (place) => buy(place).then(() => {}),
    run: (place) =>
      send(place, [
        sms("e5", "2025-02-05T00:00:00Z", "1700"),
        sms("e5", "2025-02-05T00:00:00Z", "1700"),
        sms("e6", "2025-02-04T00:00:00Z", "-3", { corrects: "e1" }),
        sms("e1", "2025-01-10T00:00:00Z", "77"),
        sms("e7", "2025-02-04T00:00:00Z", "3", { subject: "unbound" }),
      ]),
    least: 4,
  },
  {
    name: "a project gets a payer",
    run: (place) => place.ask("POST", `${acme}/projects/unbound/bindings`, { account: "other" }),
    least: 6,
  },
  {
    name: "a project gets another payer",
    run: (place, { binding }) =>
      place.ask("POST", `${acme}/projects/web/bindings`, {
        account: "other",
        supersedes: binding,
      }),
    least: 6,
  },
  {
    name: "what was in quarantine is let in",
    prepare: async (place) => {
      await place.ask("POST", `${acme}/projects/unbound/bindings`, {
        account: "other",
        effective_from: "2025-01-09T00:00:00Z",
        reason: "forgotten",
      });
    },
    run: (place) => place.ask("POST", `${acme}/quarantine/replay`, {}),
    least: 5,
  },
  {
    name: "an account subscribes to a plan",
    run: (place) => place.ask("POST", `${acme}/subscriptions`, { account: "other", plan: "basic" }),
    least: 6,
  },
  {
    name: "a subscription changes its plan",
    run: (place, { subscription }) =>
      place.ask("POST", `${acme}/subscriptions/${subscription}/change`, {
        kind: "change_plan",
        plan: "professional",
      }),
    least: 6,
  },
  {
    name: "a subscription is cancelled",
    run: (place, { subscription }) =>
      place.ask("POST", `${acme}/subscriptions/${subscription}/cancel`, { when: "now" }),
    least: 6,
  },
  { name: "a batch is bought by card", run: (place) => buy(place), least: 10 },
  {
    name: "a batch is bought on the invoice",
    run: (place) => buy(place, "invoice"),
    least: 10,
  },
  {
    name: "a payment that was left open is settled",
    prepare: async (place) => {
      const { env } = place;
      (env.payments as SimulatedPayments).next("loses_answer");
      await buy(place).catch(() => {});
      const { rows } = await env.store.pool.query<{ purchase_id: string }>(
        "select purchase_id from purchase where status = 'pending'",
      );
      return { pending: rows[0]?.purchase_id ?? "" };
    },
    at: "2025-02-05T01:00:00Z",
    charged: ({ pending = "" }) => ({
      key: pending,
      accountId: "",
      amount: money(currency("USD"), 4_000n),
      description: "",
    }),
    run: (place) => place.job("settle-pending-purchases"),
    least: 6,
  },
  {
    name: "units are topped up automatically",
    prepare: async (place) => {
      await place.ask("PUT", `${account}/top-up-rules/sms`, {
        sku: "USAGE-SMS-1000",
        enabled: true,
        trigger_at_or_below: "100",
        purchases_per_month_max: 3,
      });
    },
    run: (place) => place.job("top-up-automatically"),
    least: 10,
  },
  {
    name: "units are passed on",
    prepare: (place) => buy(place).then(() => {}),
    run: (place) =>
      place.ask("POST", `${account}/transfers`, { account: "other", pool: "sms", quantity: "300" }),
    least: 10,
  },
  {
    name: "units expire",
    prepare: (place) => buy(place).then(() => {}),
    at: "2025-03-20T00:00:00Z",
    run: (place) => place.job("expire-grants"),
    least: 4,
  },
  {
    name: "units are given for nothing",
    run: (place) =>
      place.ask("POST", `${account}/grants`, { pool: "sms", quantity: "70", reason: "goodwill" }),
    least: 8,
  },
  {
    name: "room is reserved",
    run: (place) =>
      place.ask("POST", `${account}/reservations`, {
        feature: "api-requests",
        quantity: "5",
        seconds: 600,
      }),
    least: 6,
  },
  {
    name: "a reservation is committed",
    prepare: async (place) => ({
      reservation: idOf(
        await place.ask("POST", `${account}/reservations`, {
          feature: "api-requests",
          quantity: "5",
          seconds: 600,
        }),
      ),
    }),
    run: (place, { reservation }) =>
      place.ask("POST", `${account}/reservations/${reservation}/commit`, { quantity: "3" }),
    least: 6,
  },
  {
    name: "an invoice is issued",
    prepare: (place) =>
      send(place, [
        sms("e9", "2025-02-04T00:00:00Z", "900"),
        sms("e10", "2025-01-30T00:00:00Z", "7"),
      ]).then(() => {}),
    at: "2025-03-05T00:00:00Z",
    run: (place) => place.ask("POST", `${account}/invoices`, { period: "2025-02-10T00:00:00Z" }),
    least: 15,
  },
  {
    name: "what has become final is billed",
    prepare: (place) => send(place, [sms("e9", "2025-02-04T00:00:00Z", "900")]).then(() => {}),
    at: "2025-03-05T00:00:00Z",
    run: (place) => place.job("bill-finalized-periods"),
    least: 15,
  },
  {
    name: "a credit note is written",
    run: (place, { invoice }) =>
      place.ask("POST", `${acme}/invoices/${invoice}/credit-notes`, {
        reason: "goodwill",
        amount: "1.00",
      }),
    least: 8,
  },
  {
    name: "an invoice is made void",
    run: (place, { invoice }) =>
      place.ask("POST", `${acme}/invoices/${invoice}/void`, { reason: "wrong" }),
    least: 8,
  },
  {
    name: "an invoice is written off",
    run: (place, { invoice }) =>
      place.ask("POST", `${acme}/invoices/${invoice}/write-off`, { reason: "insolvent" }),
    least: 8,
  },
  {
    name: "a debit note is written",
    run: (place, { invoice, line }) =>
      place.ask("POST", `${acme}/invoices/${invoice}/debit-notes`, {
        reason: "the offer said more",
        lines: [{ line_no: Number(line), amount: "5.00", description: "as offered" }],
      }),
    least: 8,
  },
  {
    name: "late usage goes onto a note of its own",
    prepare: (place) => lateUsage(place, "own_document"),
    run: (place) => place.ask("POST", `${account}/late-usage/issue`),
    least: 10,
  },
  {
    name: "late usage is noticed and goes out by the clock",
    prepare: (place) => lateUsage(place, "own_document"),
    at: "2025-02-09T00:00:00Z",
    run: async (place) => {
      await place.job("bill-late-usage");
      await place.ask("POST", `${account}/late-usage/issue`);
    },
    least: 15,
  },
  {
    name: "held late usage is approved",
    prepare: async (place) => {
      await lateUsage(place, "hold");
      await place.job("bill-late-usage");
      const { data } = (await place.ask("GET", `${acme}/late-usage`)) as { data: { id: string }[] };
      return { late: data[0]?.id ?? "" };
    },
    run: (place, { late }) =>
      place.ask("POST", `${acme}/late-usage/${late}/approve`, {
        as: "own_document",
        reason: "checked",
      }),
    least: 10,
  },
  {
    name: "the next invoice takes the account's credit",
    prepare: async (place) => {
      await overpay(place);
      await send(place, [sms("e9", "2025-02-04T00:00:00Z", "900")]);
    },
    at: "2025-03-05T00:00:00Z",
    run: (place) => place.ask("POST", `${account}/invoices`, { period: "2025-02-10T00:00:00Z" }),
    least: 15,
  },
  {
    name: "credit is refunded",
    prepare: (place) => overpay(place),
    run: (place) => place.ask("POST", `${account}/credit/refunds`, { reason: "asked for" }),
    least: 6,
  },
  {
    name: "a payment is taken in",
    run: (place, { invoice }) =>
      place.ask("POST", `${acme}/invoices/${invoice}/payments`, {
        amount: "20.00",
        currency: "USD",
        received_on: "2025-02-05",
        reference: "bank 1",
      }),
    least: 8,
  },
  { name: "a line is disputed", run: dispute, least: 6 },
  {
    name: "a dispute ends in a credit note",
    prepare: async (place) => {
      const names = await dispute(place, scene.names);
      await place.ask("POST", `${acme}/disputes/${names.dispute}/review`);
      return names;
    },
    run: (place, { dispute: id }) =>
      place.ask("POST", `${acme}/disputes/${id}/resolve`, {
        outcome: "credit",
        amount: "2.50",
        message: "half of it",
      }),
    least: 10,
  },
  {
    name: "the books are posted",
    prepare: (place) => buy(place).then(() => {}),
    run: (place) => place.job("post-books"),
    least: 6,
  },
  {
    name: "a month that is over is accrued",
    prepare: (place) => send(place, [sms("e9", "2025-02-04T00:00:00Z", "900")]).then(() => {}),
    at: "2025-03-01T01:00:00Z",
    run: (place) => place.job("accrue-usage"),
    least: 8,
  },
  {
    name: "prices are published",
    run: (place) =>
      place.ask("POST", "/v1/prices", {
        book: "retail-usd",
        sku: "USAGE-SMS-OVERAGE",
        currency: "USD",
        effective_from: "2025-04-01T00:00:00Z",
        model: "per_unit",
        unit_amount: "0.07",
      }),
    least: 6,
  },
];

/** How keys were last used is written in the background. */
const background = ["api_key"];
/** A request may be answered by "it is there" when the first attempt got that far: what is there is what counts. */
const answers = ["idempotency_key"];
/** Killed before each single statement, and not only once wherever something else is stored than before. */
const everyStatement = process.env["TALLYLINE_EVERY_STATEMENT"] === "1";

let scene: { readonly template: Awaited<ReturnType<typeof asTemplate>>; names: Names; key: string };

beforeAll(async () => {
  const api = await testApi({
    at: "2025-01-01T00:00:00Z",
    extend: (env) => ({ ...env, payments: simulatedPayments(seededRandom(1)) }),
  });
  const place = placeOf(api.env, api.keys.provider, 0);
  const names = await aScene(place, api);
  await place.close();
  await api.env.owner.query("delete from idempotency_key");
  await api.app.settle();
  scene = { names, key: api.keys.provider, template: await asTemplate(api.env) };
}, 120_000);
afterAll(() => scene?.template.drop());

let requests = 0;

/** `seed` names what is made there; 0: each request is one of its own, and no repetition of another. */
function placeOf(given: Env, key: string, seed: number): Place & { close(): Promise<void> } {
  const makeId = seed === 0 ? given.id : idMaker({ now: given.now }, seededRandom(seed));
  // One lane: what comes before what is the same each time.
  const ingest = openIngest(given.store, { makeId, lanes: 1 });
  const env: Env = { ...given, id: makeId, ingest };
  const apps: App[] = [];
  return {
    env,
    async ask(method, path, body) {
      // Only what is asked for: the description of a whole API takes its time.
      const app = buildApp(env, { ratePolicies: false, endpoints: endpointsAt(method, path) });
      apps.push(app);
      const answer = await app.fetch(
        new Request(`http://tallyline.test${path}`, {
          method,
          headers: {
            authorization: `Bearer ${key}`,
            ...(path === "/v1/events" ? { "tallyline-organization": "acme" } : {}),
            "content-type": "application/json",
            "idempotency-key": seed === 0 ? `request ${++requests}` : "the one",
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
      );
      const text = await answer.text();
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return text === "" ? null : (JSON.parse(text) as unknown);
    },
    job: (name) => handlers[name](env, { payload: {}, stopping: new AbortController().signal }),
    async close() {
      for (const app of apps) await app.settle().catch(() => {});
      await ingest.close().catch(() => {});
    },
  };
}

const endpointsAt = (method: string, path: string) =>
  endpoints.filter(
    (one) =>
      one.method === method &&
      new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path),
  );

/** A copy of a prepared database, and the world around it. */
type Copy = { readonly env: TestEnv; readonly payments: SimulatedPayments };

const charged = ({ payments }: Copy) => payments.charges.map(({ amount }) => amount.minor);
const seen = (copy: Copy) => digestOf(copy.env.owner, [...background, ...answers]);
const exactly = async (copy: Copy) =>
  `${await exactDigest(copy.env.owner, background)} ${charged(copy).length}`;

describe("killed at any of its statements and run again, it ends as if nothing had happened:", () => {
  test.each(acts)("$name", async (act) => {
    const { template, names, at } = await prepared(act);
    const withCopy = async <T>(work: (copy: Copy) => Promise<T>): Promise<T> => {
      const copy = await copyOf(act, template.name, names, at);
      try {
        return await work(copy);
      } finally {
        await copy.env.close();
      }
    };
    /** The next process, once the lease of the dead one has run out, brings it to the same end. */
    const goesOn = async (
      copy: Copy,
      end: { readonly expected: Digest; readonly charges: readonly bigint[] },
      what: string,
    ) => {
      await copy.env.owner.query(
        "update idempotency_key set claimed_at = claimed_at - interval '1 hour' where status is null",
      );
      const next = await runOn(act, copy, names, 2);
      expect(next.error, what).toBeUndefined();
      expect(differences(end.expected, await seen(copy)), what).toEqual([]);
      expect(charged(copy), what).toEqual(end.charges);
    };
    try {
      // What a process that dies before its n-th statement leaves behind is what others see at that moment.
      const states: string[] = [];
      const { expected, charges, statements } = await withCopy(async (copy) => {
        const line: Break = { looksAround: async () => states.push(await exactly(copy)) };
        const whole = await runOn(act, copy, names, 1, line);
        expect(whole.error).toBeUndefined();
        states.push(await exactly(copy));
        const { statements } = whole;
        const end = { expected: await seen(copy), charges: charged(copy), statements };
        // Killed after the last one, there is nothing left to do but to be asked once more.
        await goesOn(copy, end, "after everything");
        return end;
      });
      expect(statements.length).toBeGreaterThanOrEqual(act.least);
      expect(new Set(states).size).toBeGreaterThan(1);

      const end = { expected, charges };
      const brokenAt = (line: Break, left?: string) =>
        withCopy(async (copy) => {
          const what = JSON.stringify(line);
          const { isBroken } = await runOn(act, copy, names, 1, line);
          expect(isBroken, what).toBe(true);
          if (left !== undefined) expect(await exactly(copy), what).toBe(left);
          await goesOn(copy, end, what);
        });
      const [untouched] = states;
      for (const [index, state] of states.entries()) {
        const isLast = state !== states[index + 1] && state !== untouched;
        if ((isLast || everyStatement) && index < statements.length)
          await brokenAt({ dies: index + 1 }, state);
      }
      for (const [index, statement] of statements.entries())
        if (/^commit/i.test(statement) && states[index] !== states[index + 1])
          await brokenAt({ losesAnswer: index + 1 });
    } finally {
      if (template !== scene.template) await template.drop();
    }
  });
});

async function prepared(act: Act) {
  const at = "2025-02-05T00:00:00Z";
  if (!act.prepare) return { names: scene.names, template: scene.template, at: act.at ?? at };
  const payments = simulatedPayments(seededRandom(1));
  const bare = await testEnv({ at, seed: 11, from: scene.template.name });
  const env: TestEnv = { ...bare, payments };
  const place = placeOf(env, scene.key, 0);
  const more = await act.prepare(place);
  await place.close();
  await env.owner.query("delete from idempotency_key");
  const template = await asTemplate(env);
  return { names: { ...scene.names, ...more }, template, at: act.at ?? at };
}

async function copyOf(act: Act, from: string, names: Names, at: string): Promise<Copy> {
  const payments = simulatedPayments(seededRandom(1));
  const env = await testEnv({ at, from });
  if (act.charged) await payments.charge(act.charged(names));
  return { env, payments };
}

async function runOn(act: Act, { env, payments }: Copy, names: Names, seed: number, at?: Break) {
  const database = new URL(env.url).pathname.slice(1);
  const direct = inject("testServer").application.replace("database_name", database);
  const line = at && (await fragileLine(direct, at));
  const store = openStore(line?.url ?? direct, { connectionsMax: 4, applicationName: "attempt" });
  const place = placeOf({ ...env, store, payments }, scene.key, seed);
  const end = async () => {
    await place.close();
    await store.db.destroy();
  };
  const run = act.run(place, names).then(
    () => undefined,
    (error: unknown) => error,
  );
  let error: unknown;
  if (line && at && "dies" in at) {
    // A dead process does not end in good order: nobody waits for it.
    await Promise.race([run, line.broken]);
    void run.then(end).catch(() => {});
  } else {
    error = await run;
    await end();
  }
  await line?.close();
  await isGone(env);
  return { error, isBroken: line?.isBroken ?? false, statements: line?.statements ?? [] };
}

/** The server finds out that somebody is dead when it next writes to them; what they held is free then. */
async function isGone(env: TestEnv): Promise<void> {
  for (;;) {
    const { rows } = await env.owner.query(
      "select 1 from pg_stat_activity where datname = current_database() and application_name = 'attempt'",
    );
    if (rows.length === 0) return;
    await sleep(5);
  }
}
