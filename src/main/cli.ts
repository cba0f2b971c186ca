import { Command, CommanderError } from "commander";
import { Problem } from "../domain/refusals/index.ts";
import type { AddCommand, Context, ExitCode, Run } from "./command.ts";
import { exitCodes } from "./command.ts";
import { addCatalog } from "./commands/catalog.ts";
import { addDemo } from "./commands/demo.ts";
import { addBooks } from "./commands/books.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addInvoice } from "./commands/invoice.ts";
import { addJobs } from "./commands/jobs.ts";
import { addLateUsage } from "./commands/late-usage.ts";
import { addMigrate } from "./commands/migrate.ts";
import { addPayments } from "./commands/payments.ts";
import { addRate } from "./commands/rate.ts";
import { addRerate } from "./commands/rerate.ts";
import { addServe, addUp, addWork } from "./commands/up.ts";
import { addUsageImport } from "./commands/usage-import.ts";
import { addVerify } from "./commands/verify.ts";
import { addVersion } from "./commands/version.ts";
import { type Environment, readConfig, UsageError } from "./config.ts";
import { outsideFailure } from "./failure.ts";
import { version } from "./version.ts";

/** One command a line, so that two people can add one at the same time. */
const commands: readonly AddCommand[] = [
  addUp,
  addServe,
  addWork,
  addJobs,
  addCatalog,
  addDemo,
  addRate,
  addUsageImport,
  addInvoice,
  addLateUsage,
  addVerify,
  addMigrate,
  addDoctor,
  addVersion,
  addBooks,
  addRerate,
  addPayments,
];

type Streams = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
};

const standard: Streams = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
};

type GlobalOptions = { json?: boolean; databaseUrl?: string; dataDir?: string };

/** Run one command line and answer with its exit code. */
export async function main(
  args: readonly string[],
  environment: Environment = process.env,
  streams: Streams = standard,
): Promise<number> {
  let exitCode: ExitCode = exitCodes.done;
  const program = new Command("tallyline")
    .description("usage-based billing where every invoice line tallies back to the events")
    .version(version, "-V, --version")
    .option("--json", "print results (and errors) as JSON")
    .option("--database-url <url>", "use this Postgres instead of the embedded one")
    .option("--data-dir <folder>", "where the embedded database lives (default: .tallyline)")
    .showHelpAfterError("(tallyline --help lists the commands)")
    .exitOverride()
    .configureOutput({ writeOut: streams.out, writeErr: streams.err });

  const run: Run =
    (work) =>
    async (...given) => {
      const context = contextOf(program.opts<GlobalOptions>(), environment, streams);
      exitCode = (await work(context, ...given)) ?? exitCodes.done;
    };
  for (const add of commands) add(program, run);
  inherit(program);

  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return report(error, args.includes("--json"), streams);
  }
}

/** --json and the others may stand before or after the name of the command. */
function inherit(program: Command): void {
  for (const command of program.commands) {
    command.exitOverride().configureOutput(program.configureOutput());
    inherit(command);
  }
}

function contextOf(options: GlobalOptions, environment: Environment, streams: Streams): Context {
  const config = readConfig(environment, options);
  const json = options.json ?? false;
  return {
    config,
    reconfigure: (overrides) => readConfig(environment, { ...options, ...overrides }),
    json,
    print(value, text) {
      const shown = json
        ? JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}` : v), 2)
        : text;
      if (shown !== "") streams.out(shown.endsWith("\n") ? shown : `${shown}\n`);
    },
    note(text) {
      if (!json) streams.err(`${text}\n`);
    },
  };
}

/** Say what went wrong, once, in the form that was asked for, and give the exit code that fits. */
function report(error: unknown, json: boolean, streams: Streams): ExitCode {
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  const { code, title, detail, exitCode } = describe(error);
  streams.err(
    json ? `${JSON.stringify({ error: { code, title, detail } })}\n` : `${title}: ${detail}\n`,
  );
  return exitCode;
}

function describe(error: unknown): {
  code: string;
  title: string;
  detail: string;
  exitCode: ExitCode;
} {
  const detail = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError)
    return { code: "usage", title: "called wrongly", detail, exitCode: exitCodes.usage };
  if (error instanceof Problem) {
    const faults = error.faults.map((fault) => `\n  ${fault.pointer}: ${fault.detail}`).join("");
    return {
      code: error.code,
      title: "refused",
      detail: `${detail}${faults}`,
      exitCode: exitCodes.refused,
    };
  }
  const outside = outsideFailure(error);
  if (outside) return { ...outside, exitCode: exitCodes.failed };
  const stack = error instanceof Error ? (error.stack ?? detail) : detail;
  return {
    code: "bug",
    title: "this is a bug in tallyline; please report it with what follows",
    detail: stack,
    exitCode: exitCodes.failed,
  };
}
