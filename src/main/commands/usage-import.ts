import { existsSync, statSync } from "node:fs";
import { readImportMap } from "../../domain/imports/index.ts";
import { readCatalogFile } from "../catalog-file.ts";
import type { AddCommand, Context } from "../command.ts";
import { UsageError } from "../config.ts";
import { openCheckpoint } from "../import/checkpoint.ts";
import { type ImportTally, importFile, MissingColumnsError } from "../import/import-file.ts";
import { localSender, remoteSender, type Sender } from "../import/send.ts";
import { progress } from "../progress.ts";
import { withEnv } from "../wire.ts";

type Options = {
  readonly map: string;
  readonly organization?: string;
  readonly url?: string;
  readonly key?: string;
  readonly rejects?: string;
  readonly restart?: boolean;
};

/** `tallyline usage import FILE --map MAP`: usage that is already in a file, counted once however often it is imported. */
export const addUsageImport: AddCommand = (program, run) => {
  const usage =
    program.commands.find((command) => command.name() === "usage") ??
    program.command("usage").description("usage events: import them from files");
  usage
    .command("import")
    .description("import usage from a CSV or JSON lines file; importing twice changes nothing")
    .argument("<file>", "the file")
    .requiredOption("--map <file>", "how its columns become events (YAML or JSON)")
    .option("--organization <id or slug>", "whose usage it is, unless the map says so")
    .option("--url <address>", "send to this server instead of working on the database")
    .option("--key <secret>", "the API key for --url (or TALLYLINE_API_KEY)")
    .option("--rejects <file>", "where unusable rows go (default: FILE.rejects.jsonl)")
    .option("--restart", "begin at the first row again, whatever was imported before")
    .action(
      run(async (context, file: string, options: Options) => {
        if (!existsSync(file) || !statSync(file).isFile())
          throw new UsageError(`${file}: there is no such file`);
        if (options.url) {
          const key = options.key ?? process.env["TALLYLINE_API_KEY"];
          if (!key)
            throw new UsageError(
              "--url needs an API key: --key, or TALLYLINE_API_KEY in the environment",
            );
          return importWith(
            context,
            file,
            options,
            remoteSender(options.url, key, options.organization),
            options.url,
          );
        }
        return withEnv({ config: context.config, note: context.note }, (env) =>
          importWith(
            context,
            file,
            options,
            localSender(env, options.organization),
            context.config.databaseUrl ?? context.config.dataDir,
          ),
        );
      }),
    );
};

async function importWith(
  { config, json, print }: Context,
  file: string,
  options: Options,
  sender: Sender,
  target: string,
) {
  const { document, lineOf } = await readCatalogFile(options.map);
  const read = readImportMap(document);
  if (read.kind === "faulty") {
    const faults = read.faults.map(
      (fault) =>
        `\n  ${options.map}${lineOf(fault.pointer) ? `, line ${lineOf(fault.pointer)}` : ""}: ${fault.pointer} ${fault.detail}`,
    );
    throw new UsageError(`the map cannot be used:${faults.join("")}`);
  }
  const found = openCheckpoint(config.dataDir, file, document, target);
  const checkpoint = options.restart ? { ...found, lines: 0 } : found;
  try {
    const rejectsFile = options.rejects ?? `${file}.rejects.jsonl`;
    const tally = await importFile({
      file,
      map: read.map,
      sender,
      checkpoint,
      rejectsFile,
      progress: progress("importing", json),
    });
    print(tally, tallyText(file, tally));
    return tally.bad + tally.rejected + tally.conflict + tally.quarantined > 0 ? 1 : 0;
  } catch (error) {
    if (error instanceof MissingColumnsError) throw new UsageError(`${file}: ${error.message}`);
    throw error;
  } finally {
    await sender.close();
  }
}

function tallyText(file: string, tally: ImportTally): string {
  const rows: [string, number][] = [
    ["rows read", tally.rows],
    ["accepted", tally.accepted],
    ["duplicates", tally.duplicate],
    ["quarantined", tally.quarantined],
    ["conflicts", tally.conflict],
    ["rejected", tally.rejected],
    ["unreadable", tally.bad],
    ["skipped (imported before the last interruption)", tally.skipped],
  ];
  const shown = rows
    .filter(([, count], index) => index < 3 || count > 0)
    .map(([label, count]) => [label, count.toLocaleString("en")] as const);
  const wide = Math.max(...shown.map(([, count]) => count.length));
  const text = [`${file}`, ...shown.map(([label, count]) => `  ${count.padStart(wide)}  ${label}`)];
  if (tally.rejects) text.push(`Unusable rows, with line numbers and reasons: ${tally.rejects}`);
  if (tally.quarantined > 0)
    text.push("Quarantined events are kept: put right what the reason says, then replay them.");
  return text.join("\n");
}
