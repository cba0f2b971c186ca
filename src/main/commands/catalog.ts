import type { Command } from "commander";
import { system } from "../../domain/audit/index.ts";
import { isSettled, refusalsIn, renderDiff, writeCatalog } from "../../domain/catalog/index.ts";
import { applyCatalog, type CatalogPlan, planCatalog } from "../../flows/apply-catalog.ts";
import {
  type Backtest,
  backtestCatalog,
  periodNamed,
  planWithMoney,
} from "../../flows/backtest-catalog.ts";
import type { Env } from "../../flows/env.ts";
import { formatInstant } from "../../kit/time.ts";
import { getPublishedCatalog } from "../../store/plans.ts";
import { countAccounts } from "../../store/invoice-facts.ts";
import { readCatalogFolder, withLines, writeCatalogFolder } from "../catalog-folder.ts";
import type { AddCommand, Context, ExitCode, Run } from "../command.ts";
import { progress } from "../progress.ts";
import { open } from "../wire.ts";

/** The catalog as a folder of files: look, compare, try, put in force, take out. */
export const addCatalog: AddCommand = (program, run) => {
  const catalog = program
    .command("catalog")
    .description("the catalog as files: plan, apply, export, drift, backtest");
  addPlan(catalog, run);
  addApply(catalog, run);
  addExport(catalog, run);
  addDrift(catalog, run);
  addBacktest(catalog, run);
};

async function withEnv(context: Context, work: (env: Env) => Promise<ExitCode>): Promise<ExitCode> {
  const opened = await open(context);
  try {
    return await work(opened.env);
  } finally {
    await opened.close();
  }
}

function addPlan(catalog: Command, run: Run): void {
  catalog
    .command("plan <folder>")
    .description("what applying the files would change, and for whom, in money; changes nothing")
    .action(
      run(async (context, folder: string) => {
        const files = await readCatalogFolder(folder);
        return withEnv(context, async (env) => {
          const plan = await withLines(files, () =>
            withProgress(env, context, "re-rating", (show) => planWithMoney(env, files, show)),
          );
          context.print(planView(plan, plan.backtest), planText(plan, plan.backtest));
          return refusalsIn(plan.diff).length > 0 ? 1 : 0;
        });
      }),
    );
}

function addApply(catalog: Command, run: Run): void {
  catalog
    .command("apply <folder>")
    .description("make the catalog what the files say: all or nothing; twice changes nothing")
    .option("--reason <text>", "why, for the audit trail")
    .action(
      run(async (context, folder: string, options: { reason?: string }) => {
        const files = await readCatalogFolder(folder);
        return withEnv(context, async (env) => {
          const author = system("command line", options.reason ?? null);
          const plan = await withLines(files, () => applyCatalog(env, author, files));
          const text = isSettled(plan.diff) ? "no change" : `${renderDiff(plan.diff)}\napplied`;
          context.print({ applied: !isSettled(plan.diff), ...planView(plan, undefined) }, text);
          return 0;
        });
      }),
    );
}

function addExport(catalog: Command, run: Run): void {
  catalog
    .command("export <folder>")
    .description("write the catalog in force as files that apply back to it")
    .action(
      run(async (context, folder: string) =>
        withEnv(context, async (env) => {
          const documents = writeCatalog(await getPublishedCatalog(env.store));
          const files = await writeCatalogFolder(folder, documents);
          context.print({ files }, files.map((file) => `wrote  ${file}`).join("\n"));
          return 0;
        }),
      ),
    );
}

function addDrift(catalog: Command, run: Run): void {
  catalog
    .command("drift <folder>")
    .description("where the catalog in force and the files differ; exit 1 when they do")
    .action(
      run(async (context, folder: string) => {
        const files = await readCatalogFolder(folder);
        return withEnv(context, async (env) => {
          const plan = await withLines(files, () => planCatalog(env, files));
          const isSame = plan.diff.steps.length === 0;
          context.print(
            { drift: !isSame, ...planView(plan, undefined) },
            isSame ? "the files and the catalog in force agree" : renderDiff(plan.diff),
          );
          return isSame ? 0 : 1;
        });
      }),
    );
}

function addBacktest(catalog: Command, run: Run): void {
  catalog
    .command("backtest <folder>")
    .description("re-rate the stored usage of a month under the edited files, account by account")
    .requiredOption("--period <month>", "the month, as in 2025-01")
    .action(
      run(async (context, folder: string, options: { period: string }) => {
        const files = await readCatalogFolder(folder);
        const periodOf = periodNamed(options.period);
        return withEnv(context, async (env) => {
          const { wanted } = await withLines(files, () => planCatalog(env, files));
          const found = await withProgress(env, context, "re-rating", (show) =>
            backtestCatalog(env, wanted, periodOf, show),
          );
          context.print(backtestView(found), backtestText(found));
          return 0;
        });
      }),
    );
}

async function withProgress<T>(
  env: Env,
  context: Context,
  title: string,
  work: (show: (done: number) => void) => Promise<T>,
): Promise<T> {
  const total = await countAccounts(env.store.db);
  const bar = progress(title, context.json);
  try {
    return await work((done) => bar.update(done, total, `${done} of ${total} accounts`));
  } finally {
    bar.end();
  }
}

const planView = (plan: CatalogPlan, backtest: Backtest | undefined) => ({
  changes: plan.diff.steps,
  warnings: plan.warnings,
  ...(backtest && { effect: backtestView(backtest) }),
});

function planText(plan: CatalogPlan, backtest: Backtest | undefined): string {
  const parts = [
    plan.diff.steps.length === 0 ? "no change" : `${renderDiff(plan.diff)}\n${counted(plan)}`,
    ...plan.warnings.map((warning) => `warning: ${warning}`),
    ...(backtest
      ? [
          `\nthis month's usage, had these prices held from its beginning:\n${backtestText(backtest)}`,
        ]
      : []),
  ];
  return parts.join("\n");
}

const words = {
  add: "to add",
  change: "to change",
  remove: "to remove",
  refuse: "refused",
} as const;

function counted({ diff }: CatalogPlan): string {
  const counts = Object.entries(words).map(([act, word]) => ({
    word,
    count: diff.steps.filter((step) => step.act === act).length,
  }));
  const said = counts.filter(({ count }) => count > 0).map(({ word, count }) => `${count} ${word}`);
  return said.length === 0 ? "nothing to do" : said.join(", ");
}

const backtestView = (found: Backtest) => ({
  accounts: found.accounts,
  affected: found.affected.map(({ period, orgId, accountId, ...one }) => ({
    organization_id: orgId,
    account_id: accountId,
    ...one,
    period: { starts_at: formatInstant(period.startsAt), ends_at: formatInstant(period.endsAt) },
  })),
  obstacles: found.obstacles,
});

const shownMax = 40;

function backtestText(found: Backtest): string {
  const rows = found.affected.slice(0, shownMax).flatMap((one) => {
    const sign = one.difference.startsWith("-") ? "" : "+";
    return [
      `${one.slug.padEnd(28)} ${one.before.padStart(14)} → ${one.after.padStart(14)} ${one.currency}  ${sign}${one.difference}`,
      ...one.lines.map((line) => `    ${line.sku}: ${line.before} → ${line.after}`),
    ];
  });
  const more = found.affected.length - shownMax;
  return [
    ...rows,
    ...(more > 0 ? [`… and ${more} more accounts (--json lists all)`] : []),
    ...found.obstacles.map((one) => `! ${one.slug}: ${one.why}`),
    `${found.affected.length} of ${found.accounts} accounts would have paid something else`,
  ].join("\n");
}
