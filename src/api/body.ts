import { Problem } from "../domain/refusals/index.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Incoming } from "./incoming.ts";
import { check } from "./validation.ts";

export type Body = {
  /** After validation: what the handler gets. */
  readonly body: unknown;
  /** As it was parsed, or the bytes in text form: what an Idempotency-Key is compared by. */
  readonly json: unknown;
  readonly bytes: Uint8Array | undefined;
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Read and check the body an endpoint asks for. */
export async function readBody(route: Endpoint, raw: Incoming, bytesMax: number): Promise<Body> {
  if (route.rawBody) {
    requireType(raw, Object.keys(route.rawBody));
    return { body: undefined, json: undefined, bytes: await raw.bytes(bytesMax) };
  }
  if (!route.body) return { body: undefined, json: undefined, bytes: undefined };
  requireType(raw, ["application/json"]);
  const json = parseJson(await raw.bytes(bytesMax));
  return { body: check(route.body, json, "body"), json, bytes: undefined };
}

function requireType(raw: Incoming, accepted: readonly string[]): void {
  const type = raw.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type === undefined || type === "" || accepted.includes(type) || accepted.includes("*/*"))
    return;
  throw new Problem(
    "content_type_not_supported",
    `${type.slice(0, 100)} is not accepted here: send ${accepted.join(" or ")}.`,
  );
}

function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0)
    throw new Problem("body_not_json", "The body is empty: send a JSON value.");
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (error) {
    throw new Problem(
      "body_not_json",
      `The body is not JSON: ${(error as Error).message.slice(0, 200)}.`,
    );
  }
}
