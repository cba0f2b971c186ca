import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { createFirstKey } from "../../flows/manage-api-keys.ts";
import type { OrganizationId } from "../../kit/ids.ts";

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
});
afterAll(() => api.close());

const acme = "/v1/organizations/acme";
const usd = { slug: "x", name: "Acme", currency: "USD", terms: { net_days: 30 } };
const keyOf = async (organizationId: OrganizationId | null, role: string) =>
  (
    await createFirstKey(api.env, {
      organizationId,
      projectId: null,
      name: role,
      roles: [role],
      permissions: [],
      expiresAt: null,
    })
  ).secret;

describe("organizations", () => {
  test("a partner creates customers and sees what is below it; the neighbour sees none of it", async () => {
    const partner = await api.post("/v1/organizations", {
      slug: "reseller",
      name: "Reseller",
      kind: "partner",
    });
    expect(partner.status).toBe(201);
    const key = await keyOf(partner.json.id, "partner_admin");
    const child = await api.post(
      "/v1/organizations/current/children",
      { slug: "initech", name: "Initech" },
      { key },
    );
    expect([child.status, child.json.kind, child.json.parent_id]).toEqual([
      201,
      "partner_customer",
      partner.json.id,
    ]);
    const seen = await api.get("/v1/organizations", { key });
    expect(seen.json.data.map((one: { slug: string }) => one.slug)).toEqual([
      "reseller",
      "initech",
    ]);
    const project = { slug: "web", name: "Web" };
    const made = await api.post("/v1/organizations/initech/projects", project, { key });
    expect(made.status).toBe(201);
    for (const path of ["/v1/organizations/initech", "/v1/organizations/reseller"])
      expect((await api.get(path, { key: api.keys.admin })).status).toBe(404);
    // And the child does not see its parent.
    const own = await keyOf(child.json.id, "customer_admin");
    expect((await api.get("/v1/organizations/reseller", { key: own })).status).toBe(404);
    expect((await api.get("/v1/organizations/current", { key: own })).json.slug).toBe("initech");
  });

  test("circles and depth are refused, direct organizations have no children", async () => {
    const under = await api.post(`${acme}/children`, { slug: "below-acme", name: "Below" });
    expect([under.status, under.json.code]).toEqual([409, "organization_parent_unfit"]);
    let parent = (await api.post("/v1/organizations", { slug: "p1", name: "P1", kind: "partner" }))
      .json.id;
    for (const slug of ["p2", "p3", "p4", "p5"]) {
      const made = await api.post(`/v1/organizations/${parent}/children`, {
        slug,
        name: slug,
        kind: "partner",
      });
      expect(made.status).toBe(201);
      parent = made.json.id;
    }
    const deep = await api.post(`/v1/organizations/${parent}/children`, { slug: "p6", name: "P6" });
    expect([deep.status, deep.json.code]).toEqual([409, "organization_parent_too_deep"]);
  });

  test("a slug is taken once, and cannot pretend to be something else", async () => {
    const again = await api.post("/v1/organizations", { slug: "acme", name: "Acme" });
    expect([again.status, again.json.code]).toEqual([409, "slug_taken"]);
    expect((await api.post("/v1/organizations", { slug: "current", name: "C" })).status).toBe(400);
    expect((await api.post("/v1/organizations", { slug: "Not A Slug", name: "C" })).status).toBe(
      400,
    );
  });
});

test("a suspended organization is changed by staff only, a closed one by nobody; both are still read", async () => {
  const made = await api.post("/v1/organizations", { slug: "dormant", name: "Dormant" });
  const key = await keyOf(made.json.id, "customer_admin");
  const base = "/v1/organizations/dormant";
  const status = (to: string) => api.post(`${base}/status`, { status: to, reason: "test" });
  const create = (slug: string, by?: string) =>
    api.post(`${base}/projects`, { slug, name: "P" }, by ? { key: by } : {});
  expect((await create("one", key)).status).toBe(201);
  expect((await status("suspended")).json.status).toBe("suspended");
  expect((await create("two", key)).json.code).toBe("organization_not_active");
  expect((await create("two")).status).toBe(201);
  expect((await status("closed")).status).toBe(200);
  expect((await create("three")).json.code).toBe("organization_not_active");
  expect((await api.get(`${base}/projects`, { key })).json.data).toHaveLength(2);
  expect((await status("active")).json.code).toBe("organization_not_active");
});

describe("a sandbox", () => {
  test("lives at its own time, which only moves forward", async () => {
    const made = await api.post("/v1/organizations", {
      slug: "sandbox",
      name: "Sandbox",
      sandbox: { now: "2025-06-01T00:00:00Z" },
    });
    expect(made.json).toMatchObject({ sandbox: true, now: "2025-06-01T00:00:00.000Z" });
    const key = await keyOf(made.json.id, "customer_admin");
    const project = await api.post(
      "/v1/organizations/current/projects",
      { slug: "web", name: "Web" },
      { key },
    );
    expect(project.json.created_at).toBe("2025-06-01T00:00:00.000Z");
    const moved = await api.post(
      "/v1/organizations/current/clock",
      { now: "2025-07-01T00:00:00Z" },
      { key },
    );
    expect(moved.json.now).toBe("2025-07-01T00:00:00.000Z");
    const later = await api.post(
      "/v1/organizations/current/projects",
      { slug: "api", name: "Api" },
      { key },
    );
    expect(later.json.created_at).toBe("2025-07-01T00:00:00.000Z");
    const back = await api.post(
      "/v1/organizations/current/clock",
      { now: "2025-06-15T00:00:00Z" },
      { key },
    );
    expect([back.status, back.json.code]).toEqual([409, "clock_goes_back"]);
    const real = await api.post(`${acme}/clock`, { now: "2025-06-15T00:00:00Z" });
    expect(real.json.code).toBe("clock_not_sandbox");
  });
});

describe("projects", () => {
  test("are created, renamed, named otherwise, and closed; without history also removed", async () => {
    const made = await api.post(`${acme}/projects`, { slug: "shop", name: "Shop" });
    expect(made.status).toBe(201);
    expect((await api.post(`${acme}/projects`, { slug: "shop", name: "Shop" })).json.code).toBe(
      "slug_taken",
    );
    expect((await api.patch(`${acme}/projects/shop`, { name: "The shop" })).json.name).toBe(
      "The shop",
    );
    const path = `${acme}/projects/shop/subjects/tenant-42`;
    expect((await api.put(path, undefined)).status).toBe(200);
    expect((await api.put(path, undefined)).status).toBe(200);
    expect((await api.put(`${acme}/projects/web/subjects/tenant-42`, undefined)).json.code).toBe(
      "subject_taken",
    );
    expect((await api.get(`${acme}/projects/shop/subjects`)).json.data).toHaveLength(1);
    expect((await api.delete(path)).status).toBe(204);
    expect((await api.delete(path)).json.code).toBe("subject_not_found");
    expect((await api.delete(`${acme}/projects/shop`)).status).toBe(204);
    expect((await api.get(`${acme}/projects/shop`)).status).toBe(404);
    const history = await api.delete(`${acme}/projects/web`);
    expect([history.status, history.json.code]).toEqual([409, "project_has_history"]);
  });

  test("are listed page by page, every one once", async () => {
    for (let n = 0; n < 7; n++)
      await api.post(`${acme}/projects`, { slug: `paged-${n}`, name: "P" });
    const seen: string[] = [];
    let cursor = "";
    for (;;) {
      const { json } = await api.get(`${acme}/projects?limit=3${cursor && `&cursor=${cursor}`}`);
      seen.push(...json.data.map((one: { id: string }) => one.id));
      if (json.next_cursor === null) break;
      cursor = json.next_cursor;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(8);
    expect((await api.get(`${acme}/projects?cursor=nonsense`)).json.code).toBe("cursor_not_valid");
    expect((await api.get(`${acme}/projects?limit=9999`)).json.errors[0]).toMatchObject({
      in: "query",
      pointer: "/limit",
    });
  });
});

describe("billing accounts", () => {
  test("a customer opens one that cannot pay yet; staff grants terms, and it is ready", async () => {
    const body = {
      slug: "own",
      name: "Own",
      currency: "EUR",
      time_zone: "Europe/Berlin",
      po_number: "PO-4471",
    };
    const made = await api.post(`${acme}/accounts`, body, { key: api.keys.admin });
    expect([made.status, made.json.status]).toEqual([201, "provisioning"]);
    expect(
      made.json.conditions.map((one: { type: string; status: string }) => [one.type, one.status]),
    ).toEqual([
      ["Ready", "false"],
      ["PaymentReady", "false"],
      ["InvoicingReady", "true"],
    ]);
    // Still free to change its mind about the currency.
    expect((await api.patch(`${acme}/accounts/own`, { currency: "JPY" })).json.currency).toBe(
      "JPY",
    );
    await api.patch(`${acme}/accounts/own`, { currency: "EUR" });

    const terms = { net_days: 60, credit_limit: "10000.00", agreement_reference: "A-1" };
    const grab = await api.put(`${acme}/accounts/own/terms`, terms, { key: api.keys.admin });
    expect([grab.status, grab.json.permission]).toEqual([403, "accounts.terms"]);
    const sneak = await api.post(
      `${acme}/accounts`,
      { ...usd, slug: "sneak" },
      { key: api.keys.admin },
    );
    expect(sneak.status).toBe(403);
    expect((await api.put(`${acme}/accounts/own/terms`, { net_days: 91 })).status).toBe(400);
    expect(
      (await api.put(`${acme}/accounts/own/terms`, { net_days: 30, credit_limit: "1.001" })).status,
    ).toBe(400);

    const granted = await api.put(`${acme}/accounts/own/terms`, terms);
    expect(granted.json).toMatchObject({
      status: "ready",
      terms: { net_days: 60, credit_limit: { currency: "EUR", amount: "10000.00" } },
    });
    const fixed = await api.patch(`${acme}/accounts/own`, { currency: "USD" });
    expect([fixed.status, fixed.json.code]).toEqual([409, "account_currency_fixed"]);
  });

  test("suspended, it keeps its bindings and refuses new ones; back needs the cause cleared and another person", async () => {
    const finn = await keyOf(null, "finance");
    await api.post(`${acme}/accounts`, { ...usd, slug: "risky" });
    await api.post(`${acme}/projects`, { slug: "risk-a", name: "A" });
    await api.post(`${acme}/projects`, { slug: "risk-b", name: "B" });
    expect((await api.post(`${acme}/projects/risk-a/bindings`, { account: "risky" })).status).toBe(
      201,
    );
    const one = `${acme}/accounts/risky`;
    const suspended = await api.post(
      `${one}/suspend`,
      { code: "unpaid", reason: "three reminders" },
      { key: finn },
    );
    expect(suspended.json).toMatchObject({
      status: "suspended",
      status_reason: "unpaid: three reminders",
    });
    const bound = await api.post(`${acme}/projects/risk-b/bindings`, { account: "risky" });
    expect([bound.status, bound.json.code]).toEqual([409, "account_suspended"]);
    expect((await api.get(`${one}/bindings`)).json.data).toHaveLength(1);

    const early = await api.post(`${one}/reactivate`, { reason: "please" });
    expect(early.json.code).toBe("account_cause_not_cleared");
    await api.post(`${one}/clear-cause`, { reason: "paid" }, { key: finn });
    const self = await api.post(`${one}/reactivate`, { reason: "paid" }, { key: finn });
    expect(self.json.code).toBe("account_needs_other_approver");
    expect((await api.post(`${one}/reactivate`, { reason: "paid" })).json.status).toBe("ready");
  });

  test("it closes without bindings and balance, and with history it is never destroyed", async () => {
    await api.post(`${acme}/accounts`, { ...usd, slug: "closing" });
    await api.post(`${acme}/projects`, { slug: "closing", name: "C" });
    const bound = await api.post(`${acme}/projects/closing/bindings`, { account: "closing" });
    const one = `${acme}/accounts/closing`;
    expect((await api.post(`${one}/archive`, { reason: "gone" })).json.code).toBe(
      "account_has_bindings",
    );
    api.env.at("2025-01-02T00:00:00Z");
    const freed = await api.post(`${acme}/projects/closing/bindings`, {
      account: null,
      supersedes: bound.json.id,
    });
    expect(freed.status).toBe(201);
    const destroyed = await api.delete(one);
    expect([destroyed.status, destroyed.json.code]).toEqual([409, "account_has_history"]);
    expect((await api.post(`${one}/archive`, { reason: "gone" })).json.status).toBe("archived");
    expect((await api.patch(one, { name: "again" })).json.code).toBe("account_archived");
    expect((await api.get(one)).status).toBe(200);
    await api.post(`${acme}/accounts`, { ...usd, slug: "unused" });
    expect((await api.delete(`${acme}/accounts/unused`)).status).toBe(204);
  });

  test("a parent pays for children of its currency, never in a circle", async () => {
    for (const slug of ["mother", "child", "grandchild"])
      await api.post(`${acme}/accounts`, { ...usd, slug });
    const put = (slug: string, parent: string | null) =>
      api.put(`${acme}/accounts/${slug}/parent`, { parent });
    expect((await put("child", "mother")).status).toBe(200);
    expect((await put("grandchild", "child")).status).toBe(200);
    expect((await put("mother", "grandchild")).json.code).toBe("account_parent_circle");
    expect((await put("mother", "own")).json.code).toBe("account_parent_currency");
    // Two moves that would close a circle together: one of them is refused.
    expect((await put("child", null)).status).toBe(200);
    const race = await Promise.all([put("child", "mother"), put("mother", "grandchild")]);
    expect(race.map((answer) => answer.status).toSorted((a, b) => a - b)).toEqual([200, 409]);
  });
});

describe("bindings", () => {
  const path = `${acme}/projects/moving/bindings`;

  test("the payer changes at a moment, without gap or overlap, visible from both sides", async () => {
    await api.post(`${acme}/accounts`, { ...usd, slug: "payer-a" });
    await api.post(`${acme}/accounts`, { ...usd, slug: "payer-b" });
    await api.post(`${acme}/projects`, { slug: "moving", name: "Moving" });
    const first = await api.post(path, { account: "payer-a" });
    expect(first.status).toBe(201);
    const at = "2025-01-16T00:00:00Z";
    const second = await api.post(path, { account: "payer-b", effective_from: at });
    expect([second.status, second.json.code, second.json.in_force]).toEqual([
      409,
      "binding_not_superseded",
      first.json.id,
    ]);
    const moved = await api.post(path, {
      account: "payer-b",
      effective_from: at,
      supersedes: first.json.id,
      reason: "new department",
    });
    expect(moved.status).toBe(201);
    const timeline = (await api.get(path)).json.data;
    expect(timeline).toMatchObject([
      { id: first.json.id, effective_to: "2025-01-16T00:00:00.000Z", superseded_by: moved.json.id },
      { id: moved.json.id, effective_from: "2025-01-16T00:00:00.000Z", effective_to: null },
    ]);
    expect((await api.get(`${acme}/accounts/payer-a/bindings`)).json.data).toEqual([timeline[0]]);

    const again = await api.post(path, {
      account: "payer-a",
      effective_from: at,
      supersedes: first.json.id,
    });
    expect([again.status, again.json.code]).toEqual([409, "binding_exists"]);
    for (const method of ["PATCH", "DELETE"]) {
      const edit = await api.call(method, `${acme}/bindings/${first.json.id}`);
      expect([edit.status, edit.json.code]).toEqual([409, "binding_immutable"]);
    }
  });

  test("of 50 identical binds at once, one succeeds", async () => {
    await api.post(`${acme}/projects`, { slug: "raced", name: "Raced" });
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        api.post(`${acme}/projects/raced/bindings`, { account: "payer-a" }),
      ),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
    for (const answer of answers) expect([201, 409]).toContain(answer.status);
    expect((await api.get(`${acme}/projects/raced/bindings`)).json.data).toHaveLength(1);
  });

  test("of 50 different successors at once, one succeeds: the constraint decides", async () => {
    const [first] = (await api.get(`${acme}/projects/raced/bindings`)).json.data;
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        api.post(`${acme}/projects/raced/bindings`, {
          account: n % 2 ? "payer-b" : null,
          effective_from: `2025-02-01T00:${String(n).padStart(2, "0")}:00Z`,
          supersedes: first.id,
        }),
      ),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
    for (const answer of answers) expect([201, 409]).toContain(answer.status);
  });

  test("the past needs the permission and a reason", async () => {
    await api.post(`${acme}/projects`, { slug: "late", name: "Late" });
    api.env.at("2025-01-20T00:00:00Z");
    const body = { account: "payer-a", effective_from: "2025-01-05T00:00:00Z" };
    const late = `${acme}/projects/late/bindings`;
    const customer = await api.post(late, { ...body, reason: "forgot" }, { key: api.keys.admin });
    expect([customer.status, customer.json.code]).toEqual([403, "binding_backdate_forbidden"]);
    expect((await api.post(late, body)).json.code).toBe("binding_backdate_needs_reason");
    const early = { ...body, effective_from: "2024-12-31T00:00:00Z", reason: "x" };
    expect((await api.post(late, early)).json.code).toBe("binding_before_project");
    const made = await api.post(late, { ...body, reason: "contract signed on the 5th" });
    expect(made.status).toBe(201);
    const [entry] = (await api.get(`${acme}/audit?target_id=${made.json.id}`)).json.data;
    expect(entry).toMatchObject({
      action: "binding.created_backdated",
      reason: "contract signed on the 5th",
      request_id: made.headers.get("x-request-id"),
    });
  });

  test("an account of another organization does not exist here", async () => {
    const other = await api.post("/v1/organizations/globex/accounts", {
      ...usd,
      slug: "globex-usd",
    });
    const bound = await api.post(`${acme}/projects/late/bindings`, { account: other.json.id });
    expect([bound.status, bound.json.code]).toEqual([404, "account_not_found"]);
  });
});

describe("the audit trail", () => {
  test("names who, what, before, after and why, page by page, newest first", async () => {
    const { json } = await api.get(`${acme}/audit?target_kind=account&action=account.suspended`);
    expect(json.data[0]).toMatchObject({
      actor: { kind: "api_key", name: "finance" },
      before: { status: "ready" },
      after: { status: "suspended" },
      reason: "three reminders",
    });
    const page = await api.get(`${acme}/audit?limit=2`);
    const next = await api.get(`${acme}/audit?limit=2&cursor=${page.json.next_cursor}`);
    expect(next.json.data[0].seq).toBe(page.json.data[1].seq - 1);
  });

  test("is whole until somebody with the owner's rights removes, changes or cuts an entry", async () => {
    const verdict = async () => (await api.get(`${acme}/audit/verification`)).json;
    const whole = await verdict();
    expect(whole).toMatchObject({ whole: true, broken_at_seq: null });
    const org = api.organization.id;
    const tamper = async (statement: string) => {
      await api.env.owner.query("create table kept as select * from audit_entry");
      await api.env.owner.query(statement, [org]);
      const found = await verdict();
      await api.env.owner.query("delete from audit_entry");
      await api.env.owner.query("insert into audit_entry select * from kept");
      await api.env.owner.query("drop table kept");
      return found;
    };
    expect(await tamper("delete from audit_entry where org_id = $1 and seq = 5")).toMatchObject({
      whole: false,
      broken_at_seq: 5,
      because: "entry_missing",
    });
    expect(
      await tamper("update audit_entry set reason = 'because' where org_id = $1 and seq = 7"),
    ).toMatchObject({ whole: false, broken_at_seq: 7, because: "entry_changed" });
    expect(
      await tamper(
        "delete from audit_entry where org_id = $1 and seq = (select max(seq) from audit_entry where org_id = $1)",
      ),
    ).toMatchObject({ whole: false, because: "end_missing" });
    expect(await verdict()).toEqual(whole);
  });

  test("cannot be rewritten by the role that serves requests", async () => {
    await expect(api.env.store.db.deleteFrom("audit_entry").execute()).rejects.toThrow(
      /permission/,
    );
    await expect(
      api.env.store.db.updateTable("audit_entry").set({ reason: "x" }).execute(),
    ).rejects.toThrow(/permission/);
  });
});
