import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** Where a line breaks, counted in statements since it was opened. */
export type Break =
  /** Before this statement reaches the server. Everything is cut for good, as when the process is killed. */
  | { readonly dies: number }
  /** After the server carried this statement out, before its answer comes back. Only that connection is cut. */
  | { readonly losesAnswer: number }
  /** Nowhere, but every statement waits until somebody has looked around. */
  | { readonly looksAround: (n: number) => Promise<unknown> };

export type FragileLine = {
  /** Connect here instead. */
  readonly url: string;
  /** What went over it so far: simple queries as their text, prepared ones as "". */
  readonly statements: readonly string[];
  readonly isBroken: boolean;
  /** Resolves when it breaks. */
  readonly broken: Promise<void>;
  close(): Promise<void>;
};

/**
 * A way to a database that breaks at a given statement. It looks at the protocol itself, so that pipelines, COPY and
 * whatever opens connections of its own are cut as well as a simple query.
 */
export async function fragileLine(url: string, at: Break): Promise<FragileLine> {
  const target = new URL(url);
  const folder = target.searchParams.get("host");
  const statements: string[] = [];
  const sockets = new Set<Socket>();
  let isBroken = false;
  let isDead = false;

  let tell = () => {};
  const broken = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const cut = (...ends: Socket[]) => {
    isBroken = true;
    tell();
    for (const socket of ends) socket.destroy();
  };
  const server = createServer((client) => {
    if (isDead) return void client.destroy();
    const upstream = folder
      ? connect(`${folder}/.s.PGSQL.${target.port || "5432"}`)
      : connect(Number(target.port), target.hostname);
    let loses = false;
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }

    let turn = Promise.resolve();
    const pass = (kind: string, message: Buffer) => {
      if (kind === "Q" || kind === "E") {
        statements.push(kind === "Q" ? message.toString("utf8", 5, message.length - 1) : "");
        const n = statements.length;
        if ("dies" in at && n === at.dies) {
          isDead = true;
          return cut(...sockets);
        }
        loses = "losesAnswer" in at && n === at.losesAnswer;
      }
      if (!upstream.destroyed) upstream.write(message);
    };
    const asked = inMessages("startup", (kind, message) => {
      if (!("looksAround" in at)) return pass(kind, message);
      turn = turn.then(async () => {
        if (kind === "Q" || kind === "E") await at.looksAround(statements.length + 1);
        pass(kind, message);
      });
    });
    const answered = inMessages("messages", (kind, message) => {
      if (loses) {
        // Everything up to "ready for the next one": only then is the statement over.
        if (kind === "Z") cut(client, upstream);
        return;
      }
      if (!client.destroyed) client.write(message);
    });
    client.on("data", asked);
    upstream.on("data", answered);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const own = new URL(url);
  own.searchParams.delete("host");
  own.hostname = "127.0.0.1";
  own.port = String(port);
  return {
    url: own.href,
    statements,
    get isBroken() {
      return isBroken;
    },
    broken,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** Cut a stream into messages: a letter (none for the first of a client), four bytes of length, and the rest. */
function inMessages(
  begins: "startup" | "messages",
  each: (kind: string, message: Buffer) => void,
): (chunk: Buffer) => void {
  let kept: Buffer = Buffer.alloc(0);
  let isStartup = begins === "startup";
  return (chunk) => {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    for (;;) {
      const head = isStartup ? 0 : 1;
      if (kept.length < head + 4) return;
      const length = head + kept.readUInt32BE(head);
      if (kept.length < length) return;
      const message = kept.subarray(0, length);
      kept = kept.subarray(length);
      const kind = isStartup ? "" : String.fromCharCode(message[0] as number);
      isStartup = false;
      each(kind, message);
    }
  };
}
