import { describe, expect, test } from "vitest";
import { instant } from "../../kit/time.ts";
import { type EventRequest, unwrap } from "./envelope.ts";
import { type EventReading, readEvent } from "./event.ts";

const plain = {
  id: "1234-1234-1234",
  source: "/mycontext/subcontext",
  type: "com.example.someevent",
  subject: "web",
  time: "2018-04-05T03:56:24Z",
  data: { message: "Hello World!" },
};
const cloudEvent = { specversion: "1.0", datacontenttype: "application/json", ...plain };

function read(
  contentType: string,
  body: unknown,
  headers: Record<string, string> = {},
): EventReading[] | string {
  const request: EventRequest = {
    contentType,
    header: (name) => headers[name],
    text: typeof body === "string" ? body : JSON.stringify(body),
  };
  const found = unwrap(request);
  if (found.kind === "unreadable") return found.code;
  return found.values.map((value) => readEvent(value, found.strict));
}

const asRead = {
  kind: "event",
  event: {
    ...plain,
    time: instant(plain.time),
    corrects: null,
    dataText: '{"message":"Hello World!"}',
  },
};

describe("the shapes in which an event comes", () => {
  test.each([
    ["application/cloudevents+json", cloudEvent],
    ["application/cloudevents+json; charset=utf-8", cloudEvent],
    ["application/cloudevents-batch+json", [cloudEvent]],
    ["application/json", cloudEvent],
    ["application/json", plain],
    ["application/json", [plain]],
    ["application/json; charset=utf-8", { events: [plain] }],
    ["", plain],
  ])("%s %#", (contentType, body) => {
    expect(read(contentType, body)).toEqual([asRead]);
  });

  test("binary mode: attributes in headers, percent-encoded, data in the body", () => {
    const headers = {
      "ce-specversion": "1.0",
      "ce-id": plain.id,
      "ce-source": "%2Fmycontext%2Fsubcontext",
      "ce-type": plain.type,
      "ce-subject": '"web"',
      "ce-time": plain.time,
    };
    expect(read("application/json; charset=utf-8", plain.data, headers)).toEqual([asRead]);
    const { "ce-source": _, ...sourceless } = headers;
    expect(read("application/json", plain.data, sourceless)).toMatchObject([
      { code: "missing_attribute", pointer: "/source" },
    ]);
    expect(read("text/xml", "<much wow/>", headers)).toBe("content_type_not_supported");
  });

  test.each([
    ["application/xml", "<a/>", "content_type_not_supported"],
    ["application/json", "{", "body_not_json"],
    ["application/cloudevents-batch+json", cloudEvent, "request_not_valid"],
  ])("%s %j is refused as a whole: %s", (contentType, body, code) => {
    expect(read(contentType, body)).toBe(code);
  });

  test.each([
    [{ id: undefined }, "missing_attribute", "/id"],
    [{ id: 7 }, "invalid_event", "/id"],
    [{ id: "a\0b" }, "invalid_event", "/id"],
    [{ subject: "\ud800" }, "invalid_event", "/subject"],
    [{ type: "" }, "missing_attribute", "/type"],
    [{ subject: undefined }, "missing_attribute", "/subject"],
    [{ time: undefined }, "missing_attribute", "/time"],
    [{ time: "2025-01-31 23:59" }, "invalid_event", "/time"],
    [{ time: "2025-02-30T00:00:00Z" }, "invalid_event", "/time"],
    [{ specversion: "0.3" }, "invalid_event", "/specversion"],
    [{ data: "text" }, "invalid_event", "/data"],
    [{ data: { a: "\0" } }, "invalid_event", "/data"],
    [{ data: { a: "x".repeat(70_000) } }, "invalid_event", "/data"],
    [{ datacontenttype: "text/plain" }, "invalid_event", "/datacontenttype"],
    [{ data: undefined, data_base64: "e30=" }, "invalid_event", "/data_base64"],
  ])("%j: %s at %s", (over, code, pointer) => {
    expect(read("application/json", { ...plain, ...over })).toMatchObject([
      { kind: "rejected", code, pointer },
    ]);
  });

  test("CloudEvents proper must name version and source; plain JSON need not", () => {
    const { source: _, ...sourceless } = plain;
    expect(read("application/json", sourceless)).toMatchObject([{ event: { source: "api" } }]);
    expect(read("application/cloudevents+json", plain)).toMatchObject([
      { pointer: "/specversion", code: "missing_attribute" },
    ]);
  });

  test("digits survive: a long number and one with an exponent are kept as they were written", () => {
    const body = JSON.stringify(plain).replace('"Hello World!"', "9223372036854775807");
    expect(read("application/json", body)).toMatchObject([
      { event: { dataText: '{"message":"9223372036854775807"}' } },
    ]);
  });
});
