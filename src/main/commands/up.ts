import type { AddCommand } from "../command.ts";
import { ensureProviderKey, type IssuedKey } from "../../flows/manage-api-keys.ts";
import { untilStopped } from "../signals.ts";
import { serve } from "../serve.ts";
import { open } from "../wire.ts";

export const addUp: AddCommand = (program, run) => {
  program
    .command("up")
    .description("run everything: database, migrations, API; until Ctrl-C")
    .option("--host <address>", "where to listen (default: 127.0.0.1)")
    .option("--port <number>", "where to listen; 0 takes any free port (default: 4480)")
    .action(
      run(async ({ reconfigure, print, note }, options: { host?: string; port?: string }) => {
        const config = reconfigure(options);
        const stopped = untilStopped(note);
        const opened = await open({ config, note, migrateAlways: true });
        try {
          const first = await ensureProviderKey(opened.env);
          const serving = await serve(opened.env, config);
          const database = opened.server.embedded
            ? `PostgreSQL ${opened.server.version} in ${config.dataDir}`
            : "yours";
          print(
            { address: serving.address, pid: process.pid, ...(first ? { key: first.secret } : {}) },
            `tallyline answers at ${serving.address}\n  database  ${database}\n  API       ${serving.address}/docs\n${keyLine(first)}Ctrl-C stops it.`,
          );
          await stopped;
          await serving.stop();
        } finally {
          await opened.close();
        }
        return 0;
      }),
    );
};

/** The first key of the installation, on the only occasion there is to see it. */
const keyLine = (first: IssuedKey | undefined): string =>
  first === undefined
    ? ""
    : `  key       ${first.secret}\n            It may do everything, and is shown only this once: keep it.\n`;
