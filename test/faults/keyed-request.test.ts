import { afterAll, beforeAll, expect, test } from "vitest";
import { buildApp } from "../../src/api/server.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { crashAfter } from "./crash-after.ts";

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ at: "2025-01-01T00:00:00Z" });
});
afterAll(() => api.close());

const acme = "/v1/organizations/acme";

test("a keyed request whose process dies after any of its statements takes effect once, and its retry gets the answer", async () => {
  let minute = 0;
  for (let n = 1; ; n++) {
    const slug = `crash-${n}`;
    await api.post(`${acme}/projects`, { slug, name: "Crash" });
    const path = `${acme}/projects/${slug}/bindings`;
    const body = JSON.stringify({ account: "acme-usd" });
    const headers = {
      authorization: `Bearer ${api.keys.provider}`,
      "content-type": "application/json",
      "idempotency-key": slug,
    };

    const dying = crashAfter(api.env.url, n);
    const app = buildApp({ ...api.env, store: dying.store }, { ratePolicies: false });
    const first = await app.fetch(
      new Request(`http://tallyline.test${path}`, { method: "POST", headers, body }),
    );
    await dying.end();

    // A new process, when the claim of the dead one has run out.
    minute += 2;
    api.env.at(
      `2025-01-01T${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}:00Z`,
    );
    const retry = await api.call("POST", path, { body, headers });
    expect([n, retry.status]).toEqual([n, 201]);
    const again = await api.call("POST", path, { body, headers });
    expect(again.text).toBe(retry.text);

    const timeline = (await api.get(path)).json.data;
    expect(timeline.map((one: { id: string }) => one.id)).toEqual([retry.json.id]);
    const audit = await api.get(`${acme}/audit?target_kind=binding&target_id=${retry.json.id}`);
    expect(audit.json.data).toHaveLength(1);
    if (first.status === 201) {
      expect(n).toBeGreaterThan(8);
      break;
    }
    expect(n).toBeLessThan(100);
  }
  expect((await api.get(`${acme}/audit/verification`)).json.whole).toBe(true);
});
