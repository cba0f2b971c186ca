import { createHash } from "node:crypto";
import { chownSync, mkdirSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Identity } from "./identity.ts";

/** Where a server listens: a Unix socket, or where those do not work a port that only this machine reaches. */
export type Address =
  | { readonly kind: "socket"; readonly folder: string }
  | { readonly kind: "tcp"; readonly port: number };

const socketName = (folder: string) => join(folder, ".s.PGSQL.5432");
// The kernel holds a path of 107 bytes; some platforms of 103.
const socketPathMax = 100;

/** A socket beside the data; in the temporary folder when that path is too long or its file system has no sockets. */
export async function chooseAddress(folder: string, identity: Identity): Promise<Address> {
  if (process.platform !== "win32") {
    const digest = createHash("sha256").update(folder).digest("hex").slice(0, 16);
    for (const candidate of [join(folder, "run"), join(tmpdir(), `tallyline-${digest}`)]) {
      if (Buffer.byteLength(socketName(candidate)) > socketPathMax) continue;
      if (await canHoldSocket(candidate, identity)) return { kind: "socket", folder: candidate };
    }
  }
  return { kind: "tcp", port: await freePort() };
}

async function canHoldSocket(folder: string, identity: Identity): Promise<boolean> {
  const probe = join(folder, `.probe-${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (identity.kind === "user") chownSync(folder, identity.uid, identity.gid);
    await listenOnce(probe);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { force: true });
  }
}

function listenOnce(at: string | { port: number; host: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(at, () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === "object" && address ? address.port : 0);
      });
    });
  });
}

const freePort = () => listenOnce({ port: 0, host: "127.0.0.1" });

export function serverArguments(address: Address): string[] {
  return address.kind === "socket"
    ? ["listen_addresses=", `unix_socket_directories=${address.folder}`, "port=5432"]
    : ["listen_addresses=127.0.0.1", "unix_socket_directories=", `port=${address.port}`];
}

export function urlOf(address: Address, user: string, password: string, database: string): string {
  const [host, query] =
    address.kind === "socket"
      ? ["localhost:5432", `host=${encodeURIComponent(address.folder)}&sslmode=disable`]
      : [`127.0.0.1:${address.port}`, "sslmode=disable"];
  return `postgresql://${user}:${password}@${host}/${database}?${query}`;
}

// "Do you speak TLS?", the shortest question to which a server has an answer.
const question = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Whether a server answers there. A socket that merely opens may belong to what is left of a dead one. */
export function answers(address: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket =
      address.kind === "socket"
        ? connect(socketName(address.folder))
        : connect(address.port, "127.0.0.1");
    const settle = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(2_000, () => settle(false));
    socket.once("connect", () => socket.write(question));
    socket.once("data", () => settle(true));
    socket.once("end", () => settle(false));
    socket.once("error", () => settle(false));
  });
}
