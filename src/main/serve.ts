import { createServer, type Server as HttpServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { getRequestListener } from "@hono/node-server";
import pino from "pino";
import { buildApp } from "../api/server.ts";
import type { Env } from "../flows/env.ts";
import { smtpMail } from "../gateways/mail.ts";
import { startMailSender } from "../jobs/mail-sender.ts";
import type { Config } from "./config.ts";
import { version } from "./version.ts";

export type Serving = {
  /** Where it listens: "http://127.0.0.1:4480". */
  readonly address: string;
  /** Take no new request, answer the ones that came in, write what is still to be written. */
  stop(): Promise<void>;
};

// Longer than this and a client that never ends its request would keep us from ending ours.
const patienceMs = 20_000;

/** Answer HTTP, and send the mails that are due, until told to stop. */
export async function serve(env: Env, config: Config): Promise<Serving> {
  const log = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: false }));
  const app = buildApp(env, { version, log });
  const listener = getRequestListener((request) => app.fetch(request));
  let isStopping = false;
  const server = createServer((request, response) => {
    // A connection that is always busy would never close, and keep us from ending.
    if (isStopping) response.shouldKeepAlive = false;
    app.listen(request, response, () => void listener(request, response));
  });
  await listen(server, config);
  const sender =
    config.mail &&
    startMailSender(env, {
      gateway: smtpMail(config.mail.smtpUrl),
      from: config.mail.from,
      onFailure: (err) => log.error({ err }, "mails cannot be sent for now"),
    });
  return {
    address: addressOf(server, config.host),
    async stop() {
      isStopping = true;
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const late = setTimeout(() => server.closeAllConnections(), patienceMs);
      await Promise.all([closed, sender?.stop()]);
      clearTimeout(late);
      // Whose connection was cut off is still at work, on a database that is about to go.
      await Promise.race([app.settle(), sleep(patienceMs, undefined, { ref: false })]);
      log.flush();
    },
  };
}

function listen(server: HttpServer, { host, port }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function addressOf(server: HttpServer, host: string): string {
  const bound = server.address();
  const port = typeof bound === "object" && bound ? bound.port : 0;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
