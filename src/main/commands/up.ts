import type { AddCommand, Context } from "../command.ts";
import { UsageError } from "../config.ts";
import { ensureProviderKey, type IssuedKey } from "../../flows/manage-api-keys.ts";
import { untilStopped } from "../signals.ts";
import { serve } from "../serve.ts";
import { work } from "../work.ts";
import { open, type Opened } from "../wire.ts";

type Listen = { host?: string; port?: string };

export const addUp: AddCommand = (program, run) => {
  program
    .command("up")
    .description("run everything: database, migrations, API, jobs; until Ctrl-C")
    .option("--host <address>", "where to listen (default: 127.0.0.1)")
    .option("--port <number>", "where to listen; 0 takes any free port (default: 4480)")
    .action(run((context, options: Listen) => answer(context, options, { withJobs: true })));
};

export const addServe: AddCommand = (program, run) => {
  program
    .command("serve")
    .description("run the API alone, beside processes that work")
    .option("--host <address>", "where to listen (default: 127.0.0.1)")
    .option("--port <number>", "where to listen; 0 takes any free port (default: 4480)")
    .action(run((context, options: Listen) => answer(context, options, { withJobs: false })));
};

export const addWork: AddCommand = (program, run) => {
  program
    .command("work")
    .description("run the jobs alone, beside processes that serve")
    .option("--concurrency <number>", "jobs at the same time in this process", "2")
    .action(
      run(async ({ config, print, note }, options: { concurrency: string }) => {
        const concurrency = Number(options.concurrency);
        if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 16)
          throw new UsageError("--concurrency is a whole number from 1 to 16");
        const stopped = untilStopped(note);
        const opened = await open({ config, note });
        try {
          const jobs = await work(opened, config, concurrency);
          print({ pid: process.pid, concurrency }, "tallyline keeps time\nCtrl-C stops it.");
          await stopped;
          await jobs.stop();
        } finally {
          await opened.close();
        }
        return 0;
      }),
    );
};

async function answer(
  { reconfigure, print, note }: Context,
  options: Listen,
  { withJobs }: { withJobs: boolean },
): Promise<0> {
  const config = reconfigure(options);
  const stopped = untilStopped(note);
  const opened = await open({ config, note, migrateAlways: withJobs });
  try {
    const first = await ensureProviderKey(opened.env);
    const serving = await serve(opened.env, config);
    print(
      { address: serving.address, pid: process.pid, ...(first ? { key: first.secret } : {}) },
      `tallyline answers at ${serving.address}\n  database  ${databaseLine(opened, config.dataDir)}\n  API       ${serving.address}/docs\n${keyLine(first)}Ctrl-C stops it.`,
    );
    const jobs = withJobs ? await work(opened, config) : undefined;
    await stopped;
    // Jobs first give up the long ones; both end what they have begun.
    await Promise.all([serving.stop(), jobs?.stop()]);
  } finally {
    await opened.close();
  }
  return 0;
}

const databaseLine = ({ server }: Opened, dataDir: string): string =>
  server.embedded ? `PostgreSQL ${server.version} in ${dataDir}` : "yours";

/** The first key of the installation, on the only occasion there is to see it. */
const keyLine = (first: IssuedKey | undefined): string =>
  first === undefined
    ? ""
    : `  key       ${first.secret}\n            It may do everything, and is shown only this once: keep it.\n`;
