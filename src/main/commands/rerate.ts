import { system } from "../../domain/audit/index.ts";
import {
  decideRerateProposal,
  getRerate,
  proposeRerate,
  type Rerate,
  rerateTotal,
} from "../../flows/rerate.ts";
import { formatMoney } from "../../kit/money.ts";
import { formatInstant, tryInstant } from "../../kit/time.ts";
import { readCatalogFile } from "../catalog-file.ts";
import { type AddCommand, exitCodes } from "../command.ts";
import { UsageError } from "../config.ts";
import { withEnv } from "../wire.ts";

type Proposed = {
  readonly book: string;
  readonly sku: string;
  readonly from: string;
  readonly to: string;
  readonly price: string;
  readonly reason: string;
  readonly by: string;
};

/** Put a wrong price of the past right: one person prepares it, another approves it. */
export const addRerate: AddCommand = (program, run) => {
  const rerate = program
    .command("rerate")
    .description("put a wrong price of the past right: preview, then approval by another person");

  rerate
    .command("propose")
    .description(
      "what every account would get back or owe under the corrected price; bills nothing",
    )
    .requiredOption("--book <code>", "the price book")
    .requiredOption("--sku <code>", "the SKU")
    .requiredOption("--from <moment>", "since when the price was wrong, RFC 3339")
    .requiredOption("--to <moment>", "until when, not included")
    .requiredOption("--price <file>", "the price that should have held, YAML or JSON")
    .requiredOption("--reason <text>", "why; it stands on the documents")
    .requiredOption("--by <name>", "who prepares it")
    .action(
      run(async ({ config, note, print }, options: Proposed) => {
        const { document } = await readCatalogFile(options.price);
        const span = { startsAt: momentOf(options.from), endsAt: momentOf(options.to) };
        const { book, sku, reason } = options;
        const order = { book, sku, span, price: document, reason };
        return withEnv({ config, note }, async (env) => {
          const found = await proposeRerate(env, personOf(options.by), order);
          print(viewOf(found), textOf(found));
          return exitCodes.done;
        });
      }),
    );

  rerate
    .command("show <id>")
    .description("a corrected price with its amounts and documents")
    .action(
      run(async ({ config, note, print }, id: string) =>
        withEnv({ config, note }, async (env) => {
          const found = await getRerate(env, id);
          print(viewOf(found), textOf(found));
          return exitCodes.done;
        }),
      ),
    );

  for (const [word, verdict, says] of [
    ["approve", "approved", "let the corrected price hold and issue its documents, all or none"],
    ["reject", "rejected", "drop it"],
  ] as const)
    rerate
      .command(`${word} <id>`)
      .description(says)
      .requiredOption("--by <name>", "who decides: not who prepared it")
      .action(
        run(async ({ config, note, print }, id: string, options: { by: string }) =>
          withEnv({ config, note }, async (env) => {
            const found = await decideRerateProposal(env, personOf(options.by), id, verdict);
            print(viewOf(found), textOf(found));
            return exitCodes.done;
          }),
        ),
      );
};

const personOf = (name: string) => system(`command line: ${name}`);

function momentOf(text: string) {
  const at = tryInstant(text);
  if (at === undefined)
    throw new UsageError(`"${text}" is not a moment: write it as in 2025-01-01T00:00:00Z`);
  return at;
}

const viewOf = (found: Rerate) => {
  const total = rerateTotal(found);
  return {
    id: found.correction.correctionId,
    status: found.correction.status,
    book: found.correction.book,
    sku: found.correction.skuCode,
    starts_at: formatInstant(found.correction.span.startsAt),
    ends_at: formatInstant(found.correction.span.endsAt),
    currency: total?.currency ?? null,
    total: total && formatMoney(total),
    effects: found.effects.map((effect) => ({
      organization: effect.orgId,
      account: effect.accountId,
      invoice: effect.invoiceId,
      subtotal: formatMoney(effect.subtotal),
      tax: formatMoney(effect.tax),
      total: formatMoney(effect.total),
      note: effect.noteId,
    })),
    obstacles: found.obstacles,
  };
};

function textOf(found: Rerate): string {
  const view = viewOf(found);
  return [
    `${view.id}  ${view.sku} in ${view.book}, ${view.starts_at} to ${view.ends_at}: ${view.status}`,
    ...view.effects.map(
      (one) => `  ${one.account}  ${one.invoice}  ${one.total}${one.note ? `  ${one.note}` : ""}`,
    ),
    ...view.obstacles.map((one) => `  left out: ${one.invoice}, ${one.because}`),
    view.total === null
      ? "nobody would get or owe anything"
      : `${view.effects.length} documents, ${view.total} ${view.currency} together`,
  ].join("\n");
}
