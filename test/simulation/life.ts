import { expect } from "vitest";
import type { BillingAccount } from "../../src/domain/accounts/index.ts";
import { system } from "../../src/domain/audit/index.ts";
import { Problem } from "../../src/domain/refusals/index.ts";
import { amendCatalog } from "../../src/flows/apply-catalog.ts";
import { finishBillingRun, startBillingRun } from "../../src/flows/billing-run.ts";
import { bindProject } from "../../src/flows/bind-project.ts";
import { buyBatch } from "../../src/flows/buy-batch.ts";
import { choosePayer } from "../../src/flows/choose-payer.ts";
import { changeSubscription, subscribe } from "../../src/flows/change-subscription.ts";
import { creditInvoice, voidInvoice, writeOffInvoice } from "../../src/flows/correct-invoice.ts";
import { draftInvoices } from "../../src/flows/draft-invoices.ts";
import { expireGrants } from "../../src/flows/expire-grants.ts";
import { bringUpToDate } from "../../src/flows/export-books.ts";
import { type Ingest, openIngest } from "../../src/flows/ingest-usage.ts";
import { issueInvoice } from "../../src/flows/issue-invoice.ts";
import { getAccount } from "../../src/flows/manage-accounts.ts";
import { postBooks } from "../../src/flows/post-books.ts";
import { getAccountToInvoice } from "../../src/flows/preview-invoice.ts";
import { proveBooks } from "../../src/flows/prove-books.ts";
import { replayQuarantine } from "../../src/flows/replay-quarantine.ts";
import { transferUnits } from "../../src/flows/transfer-units.ts";
import { verifyAudit } from "../../src/flows/verify-audit.ts";
import { verifyInstallation } from "../../src/flows/verify-installation.ts";
import { verifyInvoice } from "../../src/flows/verify-invoice.ts";
import { simulatedPayments } from "../../src/gateways/simulated-payments.ts";
import { canonicalJson } from "../../src/kit/canonical-json.ts";
import { currency } from "../../src/kit/currency.ts";
import type { OrganizationId } from "../../src/kit/ids.ts";
import { money } from "../../src/kit/money.ts";
import { seededRandom } from "../../src/kit/random.ts";
import { formatInstant, type Instant } from "../../src/kit/time.ts";
import { getCatalog } from "../../src/store/catalog.ts";
import { pageInvoices } from "../../src/store/invoices.ts";
import { snapshot } from "../../src/store/transaction.ts";
import { apply, yamlFile } from "../harness/catalog.ts";
import { type TestEnv, testEnv } from "../harness/database.ts";
import { anEvent } from "../harness/installation.ts";
import { monthAfter, monthOf, Owed, startOfMonth } from "./owed.ts";

const second = 1_000_000;
const hour = 3600 * second;
const day = 24 * hour;
const batchUnits = 500n;
const fees: Record<string, bigint> = { small: 5_000n, large: 19_999n };
const zones: Record<string, string> = {
  east: "Asia/Kolkata",
  middle: "Europe/Berlin",
  west: "America/St_Johns",
  branch: "Europe/Berlin",
};
const names = Object.keys(zones);
/** Who may stand on one document: middle pays for its branch now and then. */
const families = [["east"], ["middle", "branch"], ["west"]];
const projects = ["alpha", "beta", "gamma", "delta"];

const catalog = `
price_books: [{ code: retail-usd, name: Retail, currency: USD }]
meters:
  - { key: calls, event_type: call, aggregation: sum, value_kind: integer, unit: call }
  - { key: texts, event_type: text, aggregation: sum, value_kind: integer, unit: text }
  - { key: jobs, event_type: job, aggregation: count, unit: job }
  - { key: users, event_type: visit, aggregation: unique, value_property: user, unit: user }
skus:
  - { code: CALLS, kind: usage, meter: calls }
  - { code: TEXTS, kind: usage, meter: texts }
  - { code: JOBS, kind: usage, meter: jobs }
  - { code: USERS, kind: usage, meter: users }
  - { code: TEXTS-500, kind: batch, meter: texts, units: "${batchUnits}", validity_days: 40, unit: text }
  - { code: SMALL, kind: recurring }
  - { code: LARGE, kind: recurring }
prices:
  - { book: retail-usd, sku: CALLS, effective_from: "2023-01-01T00:00:00Z", model: graduated, currency: USD, negative_usage: mirror,
      tiers: [{ up_to: "900", unit_amount: "0.0133" }, { up_to: null, unit_amount: "0.0071" }] }
  - { book: retail-usd, sku: TEXTS, effective_from: "2023-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "0.062", negative_usage: mirror }
  - { book: retail-usd, sku: JOBS, effective_from: "2023-01-01T00:00:00Z", model: package, currency: USD, package_size: "3", unit_amount: "1.25" }
  - { book: retail-usd, sku: USERS, effective_from: "2023-01-01T00:00:00Z", model: per_unit, currency: USD, unit_amount: "2.005" }
  - { book: retail-usd, sku: TEXTS-500, effective_from: "2023-01-01T00:00:00Z", model: flat_fee, currency: USD, amount: "21.01" }
plans:
  - { key: small, product_line: main, versions: [{ version: 1, fees: [{ sku: SMALL, amounts: { USD: "50.00" } }] }] }
  - { key: large, product_line: main, versions: [{ version: 1, fees: [{ sku: LARGE, amounts: { USD: "199.99" } }] }] }
`;

type Sent = {
  readonly event: { readonly id: string; readonly data: Readonly<Record<string, string>> };
  readonly project: string;
  readonly sku: string;
  readonly account: string;
  readonly at: number;
  left: bigint;
};

type Open = { readonly id: string; plan: string };

/**
 * One customer's life: four accounts in three time zones, four projects that move between them, and everything that can
 * happen to their money, drawn from a seed and driven through the real flows. Beside it a plain reckoning of what is owed.
 */
export class Life {
  readonly owed = new Owed();
  readonly told: string[] = [];
  private readonly random;
  private readonly sent: Sent[] = [];
  private readonly held: { sent: Sent; receivedAt: number }[] = [];
  private readonly bindings = new Map<
    string,
    { from: number; account: string | null; id: string }[]
  >();
  private readonly subscriptions = new Map<string, Open>();
  private readonly voidMonths: { account: string; at: number }[] = [];
  private serial = 0;
  private now = 0;

  readonly env: TestEnv;
  private readonly ingest: Ingest;
  private readonly orgId: OrganizationId;

  private constructor(env: TestEnv, ingest: Ingest, orgId: OrganizationId, seed: number) {
    this.env = env;
    this.ingest = ingest;
    this.orgId = orgId;
    this.random = seededRandom(seed);
  }

  static async begin(seed: number): Promise<Life> {
    const bare = await testEnv({ at: "2024-01-01T00:00:00Z", seed });
    const ingest = openIngest(bare.store, { makeId: bare.id, lanes: 2 });
    const env = { ...bare, ingest, payments: simulatedPayments(seededRandom(seed)) };
    const orgId = env.id("organization") as OrganizationId;
    const since = "2023-12-01T00:00:00Z";
    await env.owner.query(
      "insert into organization (org_id, slug, name, created_at) values ($1, 'acme', 'Acme', $2)",
      [orgId, since],
    );
    for (const name of names)
      await env.owner.query(
        `insert into billing_account (org_id, account_id, slug, name, currency, time_zone, net_days, terms_granted_at, created_at)
         values ($1, $2, $3, $3, 'USD', $4, 30, $5, $5)`,
        [orgId, env.id("account"), name, zones[name], since],
      );
    for (const name of projects)
      await env.owner.query(
        "insert into project (org_id, project_id, slug, name, created_at) values ($1, $2, $3, $3, $4)",
        [orgId, env.id("project"), name, since],
      );
    await apply(env, [yamlFile(catalog)]);
    await env.owner.query("update meter set rolled_up = true");
    const life = new Life(env, ingest, orgId, seed);
    const from = -62_135_596_800 * second;
    life.owed.price("CALLS", from, { kind: "graduated", upTo: 900n, low: 13_300n, high: 7_100n });
    life.owed.price("TEXTS", from, { kind: "per_unit", micro: 62_000n });
    life.owed.price("JOBS", from, { kind: "package", size: 3n, micro: 1_250_000n });
    life.owed.price("USERS", from, { kind: "per_unit", micro: 2_005_000n });
    life.now = Date.parse("2024-01-01T12:00:00Z") * 1000;
    life.tick(0);
    for (const [i, project] of projects.entries()) await life.bind(project, names[i] as string);
    return life;
  }

  async end(): Promise<void> {
    await this.ingest.close();
    await this.env.close();
  }

  private below = (limit: number) => this.random.below(limit);
  private one = <T>(of: readonly T[]): T => of[this.below(of.length)] as T;
  private readonly author = system("life", "life goes on");

  private tick(micros: number): void {
    this.now = Math.floor((this.now + micros) / second) * second;
    this.env.clock.set(this.now as Instant);
  }

  private tell(what: string): void {
    this.told.push(`${formatInstant(this.now as Instant)} ${what}`);
  }

  private account(name: string): Promise<BillingAccount> {
    return getAccount(this.env.store.db, this.orgId, name);
  }

  /** One month: a handful of things at random moments, then everybody's invoice once its window is over. */
  async month(steps: number): Promise<void> {
    const month = monthOf(this.now, "UTC");
    const end = Date.parse(`${monthAfter(month)}-01T00:00:00Z`) * 1000;
    for (let i = 0; i < steps; i++) {
      const left = end - this.now;
      this.tick(Math.max(1, Math.floor(left / (steps - i + 1))) + this.below(7200) * second);
      await this.step();
      await this.alwaysHolds();
    }
    // Past the window of the westernmost month end.
    this.now = end + 4 * hour;
    this.tick(0);
    if (Number(month.slice(5)) % 2 === 1) await bringUpToDate(this.env);
    await this.step();
    this.now = end + 80 * hour;
    this.tick(0);
    if (this.below(3) > 0) await expireGrants(this.env);
    // Every other month is accrued before it is invoiced, and late events come in between.
    if (Number(month.slice(5)) % 2 === 1) await bringUpToDate(this.env);
    await this.close(month);
    expect(await proveBooks(this.env), `the books after ${month}`).toEqual([]);
  }

  private async step(): Promise<void> {
    const dice = this.below(100);
    if (dice < 40) return this.use();
    if (dice < 52) return this.correct();
    if (dice < 57) return this.repeat();
    if (dice < 63) return this.rebind();
    if (dice < 71) return this.buy();
    if (dice < 75) return this.transfer();
    if (dice < 82) return this.changePlan();
    if (dice < 86) return this.publish();
    if (dice < 90) return this.credit();
    if (dice < 93) return this.takeBack();
    if (dice < 97) return this.choosePayer();
    if (dice < 98) return void (await postBooks(this.env));
    await expireGrants(this.env);
  }

  private payerOf(project: string, at: number): string | null {
    const past = (this.bindings.get(project) ?? []).filter((one) => one.from <= at);
    return past.toSorted((a, b) => a.from - b.from).at(-1)?.account ?? null;
  }

  private count(sent: Sent, receivedAt: number): void {
    const zone = zones[sent.account] as string;
    const covered =
      sent.sku === "TEXTS" && sent.left > 0n
        ? this.owed.draw(sent.account, zone, sent.at, receivedAt, sent.left)
        : sent.sku === "TEXTS"
          ? -this.owed.giveBack(sent.account, zone, sent.at, -sent.left)
          : 0n;
    const { data } = sent.event;
    this.owed.used.push({
      account: sent.account,
      sku: sent.sku,
      at: sent.at,
      quantity: sent.left,
      covered,
      ...(data["user"] ? { user: data["user"] } : {}),
    });
  }

  private async submit(events: readonly object[]): Promise<string[]> {
    const fates = await this.ingest.submit({
      orgId: this.orgId,
      events: events.map((event) => anEvent(event, this.env.now())),
      now: this.env.now(),
    });
    return fates.map((fate) => fate.kind);
  }

  /** Some usage, a third of it late, in one request. */
  private async use(): Promise<void> {
    const batch = Array.from({ length: 1 + this.below(5) }, () => {
      const project = this.one(projects);
      const back = this.below(3) === 0 ? this.below(29 * 86_400) : this.below(86_400);
      const at = Math.max(this.now - back * second, Date.parse("2024-01-01T12:00:00Z") * 1000);
      const id = `e${++this.serial}`;
      const [type, sku, data, quantity] = this.one([
        ["call", "CALLS", this.below(1500)],
        ["text", "TEXTS", this.below(300)],
        ["job", "JOBS", 1],
        ["visit", "USERS", this.below(6)],
      ] as const).map((part) => part) as unknown as [string, string, number, never];
      void quantity;
      const values: Record<string, string> =
        type === "visit" ? { user: `u${data}` } : type === "job" ? {} : { value: String(data) };
      const event = {
        id,
        type,
        subject: project,
        time: formatInstant(at as Instant),
        data: values,
      };
      const left = type === "visit" || type === "job" ? 1n : BigInt(data);
      return { event, project, sku, at, left };
    });
    const fates = await this.submit(batch.map(({ event }) => event));
    batch.forEach((one, i) => {
      const account = this.payerOf(one.project, one.at);
      expect(fates[i]).toBe(account === null ? "quarantined" : "accepted");
      const sent: Sent = { ...one, account: account ?? "" };
      if (account === null) this.held.push({ sent, receivedAt: this.now });
      else {
        this.sent.push(sent);
        this.count(sent, this.now);
      }
    });
    this.tell(
      `used ${batch.map((one) => `${one.sku}×${one.left}@${formatInstant(one.at as Instant)}`).join(" ")}`,
    );
  }

  /** Something is taken back from an event that was counted, dated now or at the event's own time. */
  private async correct(): Promise<void> {
    const able = this.sent.filter(
      (one) =>
        (one.sku === "CALLS" || one.sku === "TEXTS") &&
        one.left > 1n &&
        this.now - one.at < 29 * day,
    );
    if (able.length === 0) return this.use();
    const original = this.one(able);
    const back = 1n + BigInt(this.below(Number(original.left)));
    const at = this.below(2) === 0 ? original.at : this.now;
    const event = {
      ...original.event,
      id: `e${++this.serial}`,
      time: formatInstant(at as Instant),
      corrects: original.event.id,
      data: { value: String(-back) },
    };
    expect(await this.submit([event])).toEqual(["accepted"]);
    original.left -= back;
    this.count({ ...original, event, at, left: -back }, this.now);
    this.tell(
      `corrected ${original.event.id} ${original.sku} by -${back} at ${formatInstant(at as Instant)}`,
    );
  }

  /** The same again, and the same name with something else in it. */
  private async repeat(): Promise<void> {
    const recent = this.sent.filter((one) => this.now - one.at < 29 * day);
    if (recent.length === 0) return;
    const { event } = this.one(recent);
    expect(await this.submit([event, event])).toEqual(["duplicate", "duplicate"]);
    const other = { ...event, data: { value: "77777", user: "nobody" } };
    expect(await this.submit([other])).toEqual(["conflict"]);
    this.tell(`repeated ${event.id}`);
  }

  private async bind(project: string, account: string | null, from?: number): Promise<void> {
    const own = this.bindings.get(project) ?? [];
    const inForce = own
      .filter((one) => one.from <= (from ?? this.now))
      .toSorted((a, b) => a.from - b.from)
      .at(-1);
    const made = await bindProject(
      this.env,
      { permissions: new Set(["bindings.backdate"]) },
      this.author,
      this.orgId,
      project,
      {
        account,
        effectiveFrom: (from ?? null) as Instant | null,
        supersedes: inForce?.id ?? null,
      },
    );
    this.bindings.set(project, [...own, { from: from ?? this.now, account, id: made.binding.id }]);
    this.tell(`bound ${project} to ${account ?? "nobody"}`);
  }

  /** A project goes to another payer, to nobody, or back to somebody from the moment on at which nobody paid. */
  private async rebind(): Promise<void> {
    const project = this.one(projects);
    const current = (this.bindings.get(project) ?? []).at(-1);
    if (current?.from === this.now) return;
    if (current?.account === null) {
      await this.bind(project, this.one(names), current.from + second);
      await this.release();
      return;
    }
    const next = this.one([...names.filter((name) => name !== current?.account), null]);
    await this.bind(project, next);
  }

  private async release(): Promise<void> {
    const report = await replayQuarantine(this.env, { orgId: this.orgId, now: this.env.now() });
    const waiting = this.held.splice(0);
    let accepted = 0;
    for (const { sent, receivedAt } of waiting) {
      const account = this.payerOf(sent.project, sent.at);
      if (account === null) {
        this.held.push({ sent, receivedAt });
        continue;
      }
      accepted += 1;
      const counted = { ...sent, account };
      this.sent.push(counted);
      this.count(counted, receivedAt);
    }
    expect([report.accepted, report.stillHeld]).toEqual([accepted, this.held.length]);
    this.tell(`replayed ${accepted}, ${this.held.length} still held`);
  }

  private async buy(): Promise<void> {
    const name = this.one(names);
    const settlement = this.one(["card", "invoice"] as const);
    const order = {
      sku: "TEXTS-500",
      count: 1,
      settlement,
      kind: "batch" as const,
      requestKey: `order ${++this.serial}`,
    };
    const account = await this.account(name);
    const bought = await buyBatch(this.env, this.author, account, order);
    expect((await buyBatch(this.env, this.author, account, order)).id).toBe(bought.id);
    this.owed.fund({
      account: name,
      from: this.now,
      until: this.now + 40 * day,
      unitCost: 42_020n,
      left: batchUnits,
    });
    if (settlement === "invoice")
      this.owed.bought.push({ account: name, at: this.now, cents: 2_101n });
    this.tell(`${name} bought a batch by ${settlement}`);
  }

  private async transfer(): Promise<void> {
    const [from, to] = [this.one(names), this.one(names)];
    if (from === to) return;
    const quantity = 1n + BigInt(this.below(300));
    const isPossible = this.owed.transfer(from, to, quantity, this.now);
    const attempt = transferUnits(this.env, this.author, {
      from: await this.account(from),
      to: await this.account(to),
      pool: "texts",
      quantity: Number(quantity),
    });
    if (isPossible) await attempt;
    else await expect(attempt).rejects.toThrow("can be moved");
    this.tell(`${from} passed ${quantity} on to ${to}: ${isPossible}`);
  }

  private async changePlan(): Promise<void> {
    const name = this.one(names);
    const open = this.subscriptions.get(name);
    const stretch = (subscription: string, plan: string) =>
      this.owed.stretches.push({
        account: name,
        subscription,
        plan,
        fee: fees[plan] as bigint,
        from: this.now,
        until: Number.POSITIVE_INFINITY,
      });
    const last = this.owed.stretches.filter((one) => one.account === name).at(-1);
    if (last && (last.from === this.now || last.until === this.now)) return;
    if (!open) {
      const plan = this.one(Object.keys(fees));
      const { stored } = await subscribe(this.env, this.author, this.orgId, {
        account: name,
        plan,
      });
      this.subscriptions.set(name, { id: stored.subscription.id, plan });
      stretch(stored.subscription.id, plan);
      this.tell(`${name} subscribed to ${plan}`);
      return;
    }
    if (last) last.until = this.now;
    if (this.below(3) === 0) {
      await changeSubscription(this.env, this.author, this.orgId, open.id, {
        kind: "cancel",
        when: { kind: "now" },
      });
      this.subscriptions.delete(name);
      this.tell(`${name} cancelled`);
      return;
    }
    const plan = open.plan === "small" ? "large" : "small";
    await changeSubscription(this.env, this.author, this.orgId, open.id, {
      kind: "change_plan",
      plan,
      version: undefined,
      restartCycle: false,
      when: { kind: "now" },
    });
    open.plan = plan;
    stretch(open.id, plan);
    this.tell(`${name} went to ${plan}`);
  }

  /** From the next month on middle pays for its branch, or no longer. What is owed stays the same, only who is asked changes. */
  private async choosePayer(): Promise<void> {
    const zone = zones["branch"] as string;
    const from = startOfMonth(monthAfter(monthOf(this.now, zone)), zone);
    const payer = this.one(["middle", null]);
    await choosePayer(
      this.env,
      { organizationId: null, projectId: null },
      this.author,
      this.orgId,
      "branch",
      { payer, effectiveFrom: from as Instant },
    );
    this.tell(`${payer ?? "branch itself"} pays for branch from the next month on`);
  }

  /** A new price from some hour of the coming month on. */
  private async publish(): Promise<void> {
    const from = Math.floor(this.now / hour) * hour + (1 + this.below(700)) * hour;
    const sku = this.one(["CALLS", "TEXTS", "JOBS", "USERS"]);
    const known = this.owed.prices.get(sku) ?? [];
    if (known.some((one) => one.from >= from)) return;
    const micro = BigInt(1 + this.below(90_000)) * 10n;
    const text = (value: bigint) => {
      const digits = value.toString().padStart(7, "0");
      return `${digits.slice(0, -6)}.${digits.slice(-6)}`;
    };
    const shared = {
      book: "retail-usd",
      sku,
      currency: "USD",
      effective_from: formatInstant(from as Instant),
    };
    const model = {
      CALLS: {
        model: "graduated",
        negative_usage: "mirror",
        tiers: [
          { up_to: "700", unit_amount: text(micro) },
          { up_to: null, unit_amount: text(micro / 2n) },
        ],
      },
      TEXTS: { model: "per_unit", negative_usage: "mirror", unit_amount: text(micro) },
      JOBS: { model: "package", package_size: "4", unit_amount: text(micro * 10n) },
      USERS: { model: "per_unit", unit_amount: text(micro * 3n) },
    }[sku];
    await amendCatalog(this.env, this.author, {
      name: "prices",
      document: { prices: [{ ...shared, ...model }] },
    });
    this.owed.price(
      sku,
      from,
      sku === "CALLS"
        ? { kind: "graduated", upTo: 700n, low: micro, high: micro / 2n }
        : sku === "JOBS"
          ? { kind: "package", size: 4n, micro: micro * 10n }
          : { kind: "per_unit", micro: sku === "USERS" ? micro * 3n : micro },
    );
    this.tell(`published ${sku} at ${micro} from ${formatInstant(from as Instant)}`);
  }

  private async papers(name: string) {
    const { id } = await this.account(name);
    return pageInvoices(this.env.store.db, { orgId: this.orgId, accountId: id, limit: 500 });
  }

  /** A dispute that ends in the customer's favour: some or all of a document is given back. */
  private async credit(): Promise<void> {
    const name = this.one(names);
    const open = (await this.papers(name)).filter(
      (one) => one.kind === "invoice" && one.status !== "void" && one.total.minor > 0n,
    );
    if (open.length === 0) return;
    const invoice = this.one(open);
    const kind = this.one(["all", "amount", "lines"] as const);
    const request =
      kind === "amount"
        ? {
            kind,
            amount: money(currency("USD"), BigInt(1 + this.below(Number(invoice.total.minor)))),
          }
        : kind === "lines"
          ? {
              kind,
              lines: [{ lineNo: 1 + this.below(invoice.content.lines.length), amount: null }],
            }
          : { kind };
    try {
      const note = await creditInvoice(
        this.env,
        {
          orgId: this.orgId,
          invoice: invoice.invoiceId,
          request,
          reason: "disputed",
          reasonCode: "dispute",
        },
        this.author,
        this.env.now(),
      );
      expect(note.total.minor).toBeLessThan(0n);
      this.owed.credits.push({ account: name, cents: -note.total.minor });
      this.tell(`credited ${invoice.number} of ${name} ${kind}: ${note.total.minor}`);
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "credit_too_large") throw error;
      this.tell(`nothing left to credit on ${invoice.number}`);
    }
  }

  /** The document is void and made anew at once, later with the rest, or written off. */
  private async takeBack(): Promise<void> {
    const name = this.one(names);
    const open = (await this.papers(name)).filter(
      (one) => one.kind === "invoice" && one.status === "issued",
    );
    if (open.length === 0) return;
    const invoice = this.one(open);
    const order = { orgId: this.orgId, invoice: invoice.invoiceId, reason: "wrong" };
    if (this.below(4) === 0) {
      await writeOffInvoice(this.env, order, this.author, this.env.now());
      this.tell(`wrote ${invoice.number} off`);
      return;
    }
    try {
      await voidInvoice(this.env, order, this.author, this.env.now());
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "corrections_exist") throw error;
      return;
    }
    this.voidMonths.push({ account: name, at: invoice.period.startsAt });
    this.tell(`voided ${invoice.number} of ${name}`);
    if (this.below(2) === 0) await this.reissue();
  }

  private async reissue(): Promise<void> {
    for (const { account, at } of this.voidMonths.splice(0)) await this.issue(account, at);
  }

  private async issue(account: string, at: number): Promise<void> {
    try {
      await issueInvoice(
        this.env,
        { orgId: this.orgId, account, at: at as Instant, createdBy: "life" },
        this.env.now(),
      );
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "nothing_to_invoice") throw error;
    }
  }

  /** Everybody gets the month's invoice: incremental equals from scratch, and the sum of documents is what is owed. */
  private async close(month: string): Promise<void> {
    await this.reissue();
    const stored = await getCatalog(this.env.store);
    for (const name of names) {
      const of = await getAccountToInvoice(this.env, this.orgId, name);
      const zone = zones[name] as string;
      const period = {
        startsAt: startOfMonth(month, zone) as Instant,
        endsAt: startOfMonth(monthAfter(month), zone) as Instant,
      };
      const asked = [{ of, period, foldsOlder: true }];
      const [touched, all] = await snapshot(this.env.store.db, async (db) => [
        await draftInvoices(db, stored, asked),
        await draftInvoices(db, stored, asked, "all"),
      ]);
      const briefly = (drafted: typeof touched) =>
        drafted?.[0]?.draft.content.lines.map(
          (one) => `${one.cause} ${one.quantity} ${one.amount}`,
        );
      expect(briefly(touched), `${name}, ${month}: incremental and from scratch`).toEqual(
        briefly(all),
      );
      expect(
        canonicalJson(touched?.[0]?.draft.content) === canonicalJson(all?.[0]?.draft.content),
      ).toBe(true);
    }
    if (this.below(2) === 0) {
      const run = await startBillingRun(this.env, {
        orgId: this.orgId,
        asOf: this.env.now(),
        createdBy: "life",
      });
      const report = await finishBillingRun(this.env, run.runId);
      if (report.status !== "closed")
        for (const name of names)
          await this.issue(name, startOfMonth(month, zones[name] as string));
    } else {
      for (const name of names) await this.issue(name, startOfMonth(month, zones[name] as string));
    }
    for (const family of families) await this.tallies(family, month);
  }

  private async tallies(family: readonly string[], month: string): Promise<void> {
    const all = (await Promise.all(family.map((name) => this.papers(name))))
      .flat()
      .filter((one) => one.status !== "void");
    // A statement says what stands on the payer's invoice.
    const papers = all.filter((one) => one.kind !== "statement");
    const billed = papers.reduce((sum, one) => sum + one.total.minor, 0n);
    const owed = family.reduce(
      (sum, name) => sum + this.owed.total(name, zones[name] as string, month),
      0n,
    );
    if (billed !== owed) {
      const bySku = new Map<string, bigint>();
      for (const { content } of papers)
        for (const line of content.lines) {
          const key = `${line.sku} ${line.usage_type} ${line.period.starts_at.slice(0, 16)}`;
          bySku.set(key, (bySku.get(key) ?? 0n) + BigInt(line.amount.replace(".", "")));
        }
      throw new Error(
        `${family.join(" and ")} through ${month}: documents ${billed}, owed ${owed}\n${family
          .flatMap((name) => [...this.owed.parts(name, zones[name] as string, month)])
          .map(([key, value]) => `  owed ${key}: ${value}`)
          .join(
            "\n",
          )}\n${[...bySku].map(([key, value]) => `  billed ${key}: ${value}`).join("\n")}`,
      );
    }
    const latest = all[0];
    if (latest) await this.proves(latest.invoiceId);
    if (all.length > 1) await this.proves(this.one(all).invoiceId);
  }

  private async proves(invoiceId: string): Promise<void> {
    const { checks, invoice } = await verifyInvoice(this.env, this.orgId, invoiceId);
    const found = checks.flatMap(({ name, mismatches }) =>
      mismatches.map((one) => ({ name, ...one })),
    );
    expect(found, `${invoice.number} of ${invoice.content.account.slug}`).toEqual([]);
  }

  /** Invariants that hold at any moment, asked of the rows themselves. */
  private async alwaysHolds(): Promise<void> {
    for (const [what, query] of Object.entries(invariants)) {
      const { rows } = await this.env.owner.query(query);
      expect(rows, what).toEqual([]);
    }
  }

  /** After the last month: every document, every chain, every rollup, all the books. */
  async proveEverything(): Promise<void> {
    await expireGrants(this.env);
    await bringUpToDate(this.env);
    await this.alwaysHolds();
    const proof = await verifyInstallation(this.env, undefined);
    expect(proof.faults, JSON.stringify(proof.faults)).toEqual([]);
    expect(proof.invoiceCount).toBeGreaterThan(3);
    expect((await verifyAudit(this.env.store.db, this.orgId)).kind).toBe("whole");
    for (const [what, query] of Object.entries(booksAtRest)) {
      const { rows } = await this.env.owner.query(query);
      expect(rows, what).toEqual([]);
    }
    for (const name of names) {
      const { rows } = await this.env.owner.query<{ left: string }>(
        `select coalesce(sum(remaining), 0)::text as left from account_grant g join billing_account a using (org_id, account_id)
         where a.slug = $1 and g.expires_at > $2::timestamptz`,
        [name, formatInstant(this.now as Instant)],
      );
      expect(BigInt(rows[0]?.left.split(".")[0] ?? "-1"), `units of ${name}`).toBe(
        this.owed.available(name, this.now),
      );
    }
  }
}

const invariants: Record<string, string> = {
  "2: sequences have no gap":
    "select org_id, account_id from usage_event group by 1, 2 having max(seq) <> count(*) or min(seq) <> 1",
  "6: no correction takes back more than there was": `
    select e.id from usage_event e join usage_event c on c.org_id = e.org_id and c.corrects = e.event_key
    group by e.org_id, e.event_key, e.id, e.data->>'value' having (e.data->>'value')::numeric + sum((c.data->>'value')::numeric) < 0`,
  "20: the parts of a grant make its size": `
    select grant_id from account_grant where size <> remaining + drawn + expired + transferred_out - corrected`,
  "21: nothing remains below zero": "select grant_id from account_grant where remaining < 0",
  "22: no draw outside a grant's validity": `
    select m.movement_id from grant_movement m join account_grant g using (org_id, grant_id)
    where m.kind = 'drawn' and (m.at >= g.expires_at or m.at < g.valid_from - interval '15 minutes')`,
  "25: units come with a purchase, once": `
    select p.purchase_id from purchase p left join account_grant g on g.org_id = p.org_id and g.purchase_id = p.purchase_id
    where p.status in ('paid', 'invoiced') group by 1 having count(g.grant_id) <> 1`,
  "26: what remains is the sum of movements": `
    select grant_id from account_grant g join grant_movement m using (org_id, grant_id)
    group by org_id, grant_id, g.remaining having g.remaining <> sum(m.quantity)`,
  "28: one open subscription of a product line": `
    select account_id from subscription where closed_at is null group by org_id, account_id, product_line having count(*) > 1`,
  "30: one invoice that stands for an account and period": `
    select account_id from invoice where kind = 'invoice' and status <> 'void'
    group by org_id, account_id, period_starts_at having count(*) > 1`,
  "31: lines make the subtotal, with tax the total": `
    select i.invoice_id from invoice i left join invoice_line l using (org_id, invoice_id)
    group by i.org_id, i.invoice_id, i.subtotal_minor, i.tax_minor, i.total_minor having coalesce(sum(l.amount_minor), 0) <> i.subtotal_minor or i.subtotal_minor + i.tax_minor <> i.total_minor`,
  "32: numbers are unique and without gap": `
    select kind from (select legal_entity, kind, count(*) as n, max(substring(number from '[0-9]+$')::int) as top,
      count(distinct number) as d from invoice where number is not null and kind <> 'statement' group by 1, 2) s where n <> top or n <> d`,
  "35: due on the day of the terms": `
    select number from invoice where kind = 'invoice'
      and due_on <> (issued_at at time zone (content->'account'->>'time_zone'))::date + (content->'account'->>'net_days')::int`,
  "36: periods of an account tile time": `
    select a.invoice_id from invoice a join invoice b on a.org_id = b.org_id and a.account_id = b.account_id
      and a.kind = 'invoice' and b.kind = 'invoice' and a.period_starts_at < b.period_starts_at and a.period_ends_at > b.period_starts_at`,
  "38: every ledger transaction balances": `
    select transaction_id from ledger_posting group by org_id, transaction_id, currency, family
    having sum(coalesce(amount_minor::numeric, units)) <> 0`,
  "no note gives back more than its document charged": `
    select i.invoice_id from invoice i join invoice n on n.org_id = i.org_id and n.corrects_id = i.invoice_id and n.status <> 'void'
    group by i.org_id, i.invoice_id, i.total_minor having -sum(n.total_minor) > greatest(i.total_minor, 0)
      and -sum(n.total_minor) > (select sum(greatest(amount_minor, 0)) from invoice_line l where l.org_id = i.org_id and l.invoice_id = i.invoice_id)`,
};

const booksAtRest: Record<string, string> = {
  "24: what was passed on arrived": `
    select family from ledger_posting where account like '%moved%' group by org_id, family, currency
    having sum(coalesce(amount_minor::numeric, units)) <> 0`,
  "40: deferred revenue is the value of units not yet used": `
    select coalesce(p.owed, 0) as deferred, v.value from
      (select -sum(amount_minor) - (select coalesce(sum(amount_minor - earned_minor), 0) from revenue_schedule) as owed
       from ledger_posting where account like 'liabilities:deferred%') p,
      (select sum(round(paid_minor * remaining / size)) as value, count(*) as n from account_grant where paid_minor is not null and remaining > 0) v
    where abs(coalesce(p.owed, 0) - coalesce(v.value, 0)) > coalesce(v.n, 0)`,
  "41: what is receivable, and what was given up of it, is what stands on documents": `
    select p.booked, d.billed from
      (select coalesce(sum(amount_minor), 0) as booked from ledger_posting
        where account like 'assets:receivable:%' or account like 'expenses:bad-debt:%') p,
      (select coalesce(sum(total_minor), 0) as billed from invoice where status <> 'void' and kind <> 'statement') d
    where p.booked <> d.billed`,
};
