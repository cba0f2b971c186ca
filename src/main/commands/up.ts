import type { AddCommand } from "../command.ts";
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
          const serving = await serve(opened.env, config);
          const database = opened.server.embedded
            ? `PostgreSQL ${opened.server.version} in ${config.dataDir}`
            : "yours";
          print(
            { address: serving.address, pid: process.pid },
            `tallyline answers at ${serving.address}\n  database  ${database}\n  API       ${serving.address}/openapi.json\nCtrl-C stops it.`,
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
