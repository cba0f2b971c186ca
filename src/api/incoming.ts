import type { IncomingMessage } from "node:http";
import { Problem } from "../domain/refusals/index.ts";

/** A request as far as an endpoint looks at it, whichever server it came through. */
export type Incoming = {
  readonly method: string;
  readonly pathname: string;
  /** With its question mark; empty when there is none. */
  readonly search: string;
  readonly headers: { get(name: string): string | null };
  /** The whole body. Throws `body_too_large`, and nothing larger than the limit is ever held. */
  bytes(max: number): Promise<Uint8Array>;
};

export function fromFetch(request: Request): Incoming {
  const { pathname, search } = new URL(request.url);
  return {
    method: request.method,
    pathname,
    search,
    headers: request.headers,
    async bytes(max) {
      const declared = refuseDeclared(request.headers.get("content-length"), max);
      // With a declared length the server never hands on more than that, so the fast way is safe.
      if (declared >= 0) return within(new Uint8Array(await request.arrayBuffer()), max);
      if (!request.body) return new Uint8Array();
      const parts: Uint8Array[] = [];
      let length = 0;
      for await (const part of request.body as unknown as AsyncIterable<Uint8Array>) {
        length += part.length;
        if (length > max) throw tooLarge(max);
        parts.push(part);
      }
      return Buffer.concat(parts);
    },
  };
}

/** Undefined where the address is not a plain path: the general way understands those. */
export function fromNode(request: IncomingMessage): Incoming | undefined {
  const { url = "", method = "", headers } = request;
  if (!/^\/(?!\/)[^#\\]*$/.test(url)) return undefined;
  const question = url.indexOf("?");
  return {
    method,
    pathname: question < 0 ? url : url.slice(0, question),
    search: question < 0 ? "" : url.slice(question),
    headers: {
      get(name) {
        const value = headers[name];
        return value === undefined ? null : typeof value === "string" ? value : value.join(", ");
      },
    },
    bytes: (max) => bytesOf(request, max),
  };
}

function bytesOf(request: IncomingMessage, max: number): Promise<Uint8Array> {
  const declared = refuseDeclared(request.headers["content-length"] ?? null, max);
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    request.on("data", (part: Buffer) => {
      length += part.length;
      if (length <= max) parts.push(part);
      else reject(tooLarge(max));
    });
    request.on("end", () => {
      const whole = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
      if (declared >= 0 && declared !== whole.length) reject(cutOff());
      else resolve(whole);
    });
    request.on("error", reject);
    request.on("close", () => {
      if (!request.complete) reject(cutOff());
    });
  });
}

function refuseDeclared(header: string | null, max: number): number {
  const declared = Number(header ?? Number.NaN);
  if (declared > max) throw tooLarge(max);
  return declared;
}

function within(bytes: Uint8Array, max: number): Uint8Array {
  if (bytes.length > max) throw tooLarge(max);
  return bytes;
}

const cutOff = (): Problem =>
  new Problem("body_not_json", "The body ended before it was complete: send it again.");

const tooLarge = (max: number): Problem =>
  new Problem("body_too_large", `The body is larger than ${max} bytes: send less at once.`, {
    facts: { bytes_max: max },
  });
