import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { apply, exampleCatalog } from "../../../test/harness/catalog.ts";
import { tallyline } from "../../../test/harness/cli.ts";

const account = "/v1/organizations/acme/accounts/acme-usd";
const price = { model: "per_unit", currency: "USD", unit_amount: "0.05" };
let api: TestApi;

beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
  await apply(api.env, exampleCatalog());
  const sent = await api.post(
    "/v1/events",
    {
      id: "e1",
      type: "sms.sent",
      subject: "web",
      time: "2025-01-01T00:00:00Z",
      data: { value: "100" },
    },
    { key: api.keys.ingest },
  );
  expect(sent.json).toMatchObject({ accepted: 1 });
  api.env.at("2025-02-04T00:00:00Z");
  expect((await api.post(`${account}/invoices`, { period: "2025-01-15T00:00:00Z" })).status).toBe(
    201,
  );
});
afterAll(() => api.close());

test("on the command line: propose, show, refused to the same person, approved by another", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "tallyline-rerate-")), "right.json");
  writeFileSync(file, JSON.stringify(price));
  const rerate = (...args: string[]) =>
    tallyline(["--json", "--database-url", api.env.url, "rerate", ...args]);
  const asked = [
    "--book",
    "retail-usd",
    "--sku",
    "USAGE-SMS-OVERAGE",
    "--reason",
    "a typing error",
  ];
  const span = ["--from", "2025-01-01T00:00:00Z", "--to", "2025-01-16T00:00:00Z"];
  const proposed = await rerate("propose", ...asked, ...span, "--price", file, "--by", "ada");
  expect([proposed.code, proposed.err]).toEqual([0, ""]);
  const { id, ...view } = JSON.parse(proposed.out);
  // 100 at 0.05 and not at 0.06.
  expect(view).toMatchObject({ status: "open", total: "-1.00", currency: "USD" });

  const own = await rerate("approve", id, "--by", "ada");
  expect([own.code, own.err]).toEqual([1, expect.stringContaining("catalog_self_approval")]);
  const done = await rerate("approve", id, "--by", "bob");
  expect(JSON.parse(done.out)).toMatchObject({
    status: "approved",
    effects: [{ total: "-1.00", note: expect.stringMatching(/^crn_/) }],
  });
  expect(JSON.parse((await rerate("show", id)).out)).toEqual(JSON.parse(done.out));
});

test("over HTTP: the same, for two keys; rejected, it changes nothing", async () => {
  const body = {
    book: "retail-usd",
    sku: "USAGE-SMS-OVERAGE",
    starts_at: "2025-01-01T00:00:00Z",
    ends_at: "2025-02-01T00:00:00Z",
    price: { ...price, unit_amount: "0.08" },
    reason: "and it was too low",
  };
  const proposed = await api.post("/v1/price-corrections", body);
  expect([proposed.status, proposed.json.total]).toEqual([201, "3.00"]);
  const at = `/v1/price-corrections/${proposed.json.id}`;
  const own = await api.post(`${at}/approve`, {});
  expect([own.status, own.json.code]).toEqual([403, "catalog_self_approval"]);
  const second = await api.post("/v1/keys", { name: "second", roles: ["provider_admin"] });
  const key = second.json.secret as string;
  expect((await api.post(`${at}/reject`, {}, { key })).json).toMatchObject({ status: "rejected" });
  expect((await api.get(at)).json.effects).toMatchObject([{ total: "3.00", note: null }]);
  const late = await api.post(`${at}/approve`, {}, { key });
  expect([late.status, late.json.code]).toEqual([409, "proposal_decided"]);
  const bare = await api.post("/v1/price-corrections", body, { key: api.keys.admin });
  expect(bare.status).toBe(403);
});
