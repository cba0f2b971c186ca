import { createServer, request, type Server } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestApi, testApi } from "../../test/harness/api.ts";

let api: TestApi;
let server: Server;
let port: number;
let leftTo: string[] = [];

beforeAll(async () => {
  api = await testApi();
  server = createServer((incoming, outgoing) =>
    api.app.listen(incoming, outgoing, () => {
      leftTo.push(incoming.url ?? "");
      outgoing.end("the general way");
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as { port: number }).port;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await api.close();
});

type Heard = { status: number; headers: Record<string, unknown>; text: string };

function send(
  method: string,
  path: string,
  given: { body?: string | string[]; key?: string | null; headers?: Record<string, string> } = {},
): Promise<Heard> {
  const { body, key = api.keys.admin, headers = {} } = given;
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        method,
        path,
        headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
      },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (part: string) => (text += part));
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }),
        );
      },
    );
    sent.on("error", reject);
    if (Array.isArray(body)) for (const part of body) sent.write(part);
    sent.end(Array.isArray(body) ? undefined : body);
  });
}

/** The answer of the general way to the same request. */
async function general(method: string, path: string, body?: string): Promise<Heard> {
  const response = await api.app.fetch(
    new Request(`http://localhost${path}`, {
      method,
      headers: {
        authorization: `Bearer ${api.keys.admin}`,
        "x-request-id": "request-0001",
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body }),
    }),
  );
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    text: await response.text(),
  };
}

const event = (id: string) =>
  JSON.stringify({
    id,
    source: "listen",
    type: "nobody.listens",
    subject: "web",
    time: "2025-01-01T00:00:00Z",
    data: {},
  });

describe("answers given straight to Node's server", () => {
  it.each([
    ["GET", "/v1/organizations/acme", undefined],
    ["GET", "/v1/organizations/acme/projects?limit=1", undefined],
    ["GET", "/v1/organizations/acme/projects?limit=none", undefined],
    ["GET", "/v1/organizations/%61cme/projects/we%62", undefined],
    ["GET", "/v1/organizations/globex", undefined],
    ["POST", "/v1/events", "{"],
    ["POST", "/v1/events", "[]"],
  ])("are those of the general way: %s %s", async (method, path, body) => {
    const straight = await send(method, path, {
      headers: { "x-request-id": "request-0001", "content-type": "application/json" },
      ...(body === undefined ? {} : { body }),
    });
    const expected = await general(method, path, body);
    expect(straight.status).toBe(expected.status);
    expect(JSON.parse(straight.text)).toEqual(JSON.parse(expected.text));
    const {
      date: _,
      connection: __,
      "keep-alive": ___,
      "content-length": length,
      ...headers
    } = straight.headers;
    expect(length).toBe(String(Buffer.byteLength(straight.text)));
    expect(headers).toEqual(expected.headers);
  });

  it("say in bytes how long they are, whatever is in them", async () => {
    const heard = await send("POST", "/v1/events", {
      body: event("naïve ☃"),
      key: api.keys.ingest,
    });
    expect(JSON.parse(heard.text).events[0].id).toBe("naïve ☃");
    expect(heard.headers["content-length"]).toBe(String(Buffer.byteLength(heard.text)));
  });

  it("have no body for HEAD", async () => {
    const heard = await send("HEAD", "/v1/organizations/acme");
    expect([heard.status, heard.text]).toEqual([200, ""]);
    expect(Number(heard.headers["content-length"])).toBeGreaterThan(50);
  });

  it("leave pages, unknown addresses and odd ones to the general way", async () => {
    leftTo = [];
    for (const path of ["/docs", "/nowhere", "//v1/events", "/v1/organizations/acme/none"])
      await send("GET", path);
    expect(leftTo).toEqual(["/docs", "/nowhere", "//v1/events", "/v1/organizations/acme/none"]);
  });

  it("refuse a body over the limit, declared or not, and go on", async () => {
    const part = "x".repeat(300_000);
    const declared = await send("POST", "/v1/events", {
      body: part.repeat(4),
      headers: { "content-length": "1200000" },
      key: api.keys.ingest,
    });
    expect([declared.status, JSON.parse(declared.text).code]).toEqual([413, "body_too_large"]);
    const chunked = await send("POST", "/v1/events", {
      body: [part, part, part, part],
      key: api.keys.ingest,
    });
    expect([chunked.status, JSON.parse(chunked.text).code]).toEqual([413, "body_too_large"]);
    expect((await send("GET", "/v1/organizations/acme")).status).toBe(200);
  });

  it("survive a sender that goes away in the middle of its body", async () => {
    await new Promise<void>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.write(
          `POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${api.keys.ingest}\r\ncontent-length: 500\r\n\r\n{"id":`,
        );
        setTimeout(() => socket.destroy(), 50);
      });
      socket.on("close", () => resolve());
    });
    const heard = await send("POST", "/v1/events", { body: event("after"), key: api.keys.ingest });
    expect(heard.status).toBe(207);
  });

  it("ask for a key like the general way", async () => {
    const heard = await send("POST", "/v1/events", { body: event("none"), key: null });
    expect([heard.status, heard.headers["www-authenticate"]]).toEqual([
      401,
      'Bearer realm="tallyline"',
    ]);
  });
});
