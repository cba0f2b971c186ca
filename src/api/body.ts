import { Problem } from "../domain/refusals/index.ts";
import type { Endpoint } from "./endpoint.ts";
import { check } from "./validation.ts";

export type Body = {
  /** After validation: what the handler gets. */
  readonly body: unknown;
  /** As it was parsed, or the bytes in text form: what an Idempotency-Key is compared by. */
  readonly json: unknown;
  readonly bytes: Uint8Array | undefined;
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Read and check the body an endpoint asks for. Nothing larger than the limit is ever held. */
export async function readBody(route: Endpoint, raw: Request, bytesMax: number): Promise<Body> {
  if (route.rawBody) {
    requireType(raw, Object.keys(route.rawBody));
    return { body: undefined, json: undefined, bytes: await readBytes(raw, bytesMax) };
  }
  if (!route.body) return { body: undefined, json: undefined, bytes: undefined };
  requireType(raw, ["application/json"]);
  const json = parseJson(await readBytes(raw, bytesMax));
  return { body: check(route.body, json, "body"), json, bytes: undefined };
}

function requireType(raw: Request, accepted: readonly string[]): void {
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

async function readBytes(raw: Request, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = () =>
    new Problem("body_too_large", `The body is larger than ${bytesMax} bytes: send less at once.`, {
      facts: { bytes_max: bytesMax },
    });
  const declared = Number(raw.headers.get("content-length") ?? Number.NaN);
  if (declared > bytesMax) throw tooLarge();
  // With a declared length the server never hands on more than that, so the fast way is safe.
  if (declared >= 0) {
    const bytes = new Uint8Array(await raw.arrayBuffer());
    if (bytes.length > bytesMax) throw tooLarge();
    return bytes;
  }
  if (!raw.body) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of raw.body as unknown as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > bytesMax) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}
