import { system } from "../../domain/audit/index.ts";
import { decideLateUsage, type LateDecision } from "../../flows/decide-late-usage.ts";
import { issueLateUsage } from "../../flows/issue-late-usage.ts";
import { noticeLateUsage } from "../../flows/notice-late-usage.ts";
import { getAccountToInvoice } from "../../flows/preview-invoice.ts";
import { formatDecimal } from "../../kit/decimal.ts";
import { formatMoney } from "../../kit/money.ts";
import { formatInstant } from "../../kit/time.ts";
import { type LateStatus, lateStatuses, type LateUsage, pageLate } from "../../store/late-usage.ts";
import { type AddCommand, exitCodes } from "../command.ts";
import { UsageError } from "../config.ts";
import { withEnv } from "../wire.ts";
import { organizationOf } from "./invoice.ts";

type OfOrganization = { readonly organization: string };
const organizationOption = ["--organization <id or slug>", "whose usage it is"] as const;
const shownMax = 1_000;

/** List, approve, decline and issue usage that arrived after the invoice of its period. */
export const addLateUsage: AddCommand = (program, run) => {
  const late = program
    .command("late-usage")
    .description("usage that arrived after its invoice: list, approve, decline, issue");

  late
    .command("list")
    .description("what goes another way than the next invoice")
    .requiredOption(...organizationOption)
    .option("--account <id or slug>", "only this account, looked at anew")
    .option("--status <status>", `one of ${lateStatuses.join(", ")}`)
    .action(
      run(
        async (
          { config, note, print },
          options: OfOrganization & { account?: string; status?: string },
        ) =>
          withEnv({ config, note }, async (env) => {
            const orgId = await organizationOf(env, options.organization);
            const status = statusOf(options.status);
            const of = options.account && (await getAccountToInvoice(env, orgId, options.account));
            if (of) await noticeLateUsage(env, [of.account], env.now());
            const rows = await pageLate(env.store.db, {
              orgId,
              accountId: of ? of.account.accountId : undefined,
              status,
              limit: shownMax,
            });
            print(rows.map(outward), rows.length === 0 ? "none" : rows.map(rowOf).join("\n"));
            return exitCodes.done;
          }),
      ),
    );

  const decision = (name: string, says: string) =>
    late
      .command(`${name} <late-usage>`)
      .description(says)
      .requiredOption(...organizationOption)
      .requiredOption("--reason <text>", "why; part of the audit trail");
  const decide = (way: (given: { as?: string }) => LateDecision["way"]) =>
    run(
      async (
        { config, note, print },
        lateId: string,
        options: OfOrganization & { reason: string; as?: string },
      ) =>
        withEnv({ config, note }, async (env) => {
          const orgId = await organizationOf(env, options.organization);
          const order = { orgId, lateId, way: way(options), reason: options.reason };
          const decided = await decideLateUsage(env, order, system("command line"), env.now());
          print(outward(decided), rowOf(decided));
          return exitCodes.done;
        }),
    );

  decision("approve", "let held usage go out")
    .requiredOption("--as <way>", "next_invoice or own_document")
    .action(decide(({ as }) => wayOf(as)));
  decision("decline", "not billed, unless more comes in").action(decide(() => "decline"));

  late
    .command("issue <account>")
    .description("put what has a document of its own onto debit and credit notes now")
    .requiredOption(...organizationOption)
    .action(
      run(async ({ config, note, print }, account: string, options: OfOrganization) =>
        withEnv({ config, note }, async (env) => {
          const orgId = await organizationOf(env, options.organization);
          const by = system("command line");
          const notes = await issueLateUsage(env, { orgId, account }, by, env.now());
          const rows = notes.map(
            (one) => `${one.number}  ${formatMoney(one.total)}  ${one.content.reason}`,
          );
          print(
            notes.map((one) => one.content),
            rows.length === 0 ? "nothing to issue" : rows.join("\n"),
          );
          return exitCodes.done;
        }),
      ),
    );
};

function statusOf(text: string | undefined): LateStatus | undefined {
  const found = lateStatuses.find((one) => one === text);
  if (text !== undefined && !found)
    throw new UsageError(`--status is one of ${lateStatuses.join(", ")}`);
  return found;
}

function wayOf(text: string | undefined): "next_invoice" | "own_document" {
  if (text === "next_invoice" || text === "own_document") return text;
  throw new UsageError("--as is next_invoice or own_document");
}

const outward = (one: LateUsage) => ({
  ...one,
  period: {
    starts_at: formatInstant(one.period.startsAt),
    ends_at: formatInstant(one.period.endsAt),
  },
  quantity: formatDecimal(one.quantity),
  amount: formatMoney(one.amount),
  noticedAt: formatInstant(one.noticedAt),
  changedAt: formatInstant(one.changedAt),
});

const rowOf = (one: LateUsage): string =>
  [
    one.lateId,
    one.status,
    one.skuCode,
    formatInstant(one.period.startsAt).slice(0, 10),
    formatDecimal(one.quantity),
    `${formatMoney(one.amount)} ${one.amount.currency}`,
  ].join("  ");
