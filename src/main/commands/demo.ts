import { explainInvoiceLine } from "../../flows/explain-invoice-line.ts";
import type { Env } from "../../flows/env.ts";
import { verifyInvoice } from "../../flows/verify-invoice.ts";
import type { AddCommand } from "../command.ts";
import { type Told, tellStory } from "../demo/story.ts";
import type { Config } from "../config.ts";
import { serve, type Serving } from "../serve.ts";
import { explanationText, invoiceText } from "../show-invoice.ts";
import { untilStopped } from "../signals.ts";
import { open } from "../wire.ts";

/** `tallyline demo`: from nothing to a month of usage and an invoice that explains itself; with --serve, a running server. */
export const addDemo: AddCommand = (program, run) => {
  program
    .command("demo")
    .description("seed an organization with a month of usage, issue its invoice, and show it")
    .option("--serve", "then answer HTTP until Ctrl-C")
    .option("--port <number>", "where to listen; 0 takes any free port (default: 4480)")
    .action(
      run(
        async ({ reconfigure, print, note, json }, options: { serve?: boolean; port?: string }) => {
          const config = reconfigure(options.port === undefined ? {} : { port: options.port });
          const stopped = options.serve ? untilStopped(note) : undefined;
          const opened = await open({ config, note, migrateAlways: true });
          try {
            const told = await tellStory(opened.env, (text) => note(`  ✓ ${text}`));
            const shown = await shownOf(opened.env, told);
            const serving = options.serve
              ? await serveSomewhere(opened.env, config, options.port === undefined)
              : undefined;
            const address = serving?.address ?? "http://127.0.0.1:4480";
            print(
              { ...shown.value, address: serving?.address ?? null, secret: told.secret },
              `\n${shown.text}\n\n${nextText(told, address, serving !== undefined)}`,
            );
            if (serving) {
              await stopped;
              await serving.stop();
            }
            return shown.isMatch || json ? 0 : 1;
          } finally {
            await opened.env.ingest?.close();
            await opened.close();
          }
        },
      ),
    );
};

/** On the port that is asked for; a demo that nobody gave a port takes a free one where the usual one is taken. */
async function serveSomewhere(env: Env, config: Config, mayMove: boolean): Promise<Serving> {
  try {
    return await serve(env, config);
  } catch (error) {
    if (!mayMove || (error as { code?: string }).code !== "EADDRINUSE") throw error;
    return serve(env, { ...config, port: 0 });
  }
}

/** The invoice, one line of it explained, and whether a recomputation from raw events agrees. */
async function shownOf(env: Env, told: Told) {
  const { invoice, isMatch, checks } = await verifyInvoice(
    env,
    told.organizationId,
    told.invoiceId,
  );
  const { content } = invoice;
  const overage =
    content.lines.find((line) => line.sku === "USAGE-SMS-OVERAGE") ?? content.lines.at(-1);
  const explained = overage
    ? await explainInvoiceLine(env, told.organizationId, told.invoiceId, overage.line_no, {
        limit: 3,
      })
    : undefined;
  const count =
    explained?.buckets.reduce((sum, bucket) => sum + BigInt(bucket.eventCount), 0n) ?? 0n;
  const faults = checks.flatMap((check) => check.mismatches);
  const verdict = isMatch
    ? `✓ verified: ${told.events > 0 ? `${told.events.toLocaleString("en")} raw events` : "the raw events"}, rated again by a second path, give every digit`
    : `✗ the recomputation differs: ${JSON.stringify(faults.slice(0, 3))}`;
  const text = [
    invoiceText(content),
    "",
    ...(overage && explained
      ? [explanationText(overage, explained.events, String(count)), ""]
      : []),
    verdict,
  ];
  return {
    value: {
      invoice: content.number,
      total: content.total,
      currency: content.currency,
      is_match: isMatch,
    },
    isMatch,
    text: text.join("\n"),
  };
}

function nextText(told: Told, address: string, isServing: boolean): string {
  const base = `${address}/v1/organizations/acme`;
  const key = told.secret ?? "YOUR-KEY";
  return [
    isServing
      ? `Tallyline answers at ${address}. Open next:`
      : "Start the server with: tallyline up. Then open:",
    `  ${address}/docs    the reference`,
    ...(told.secret
      ? [`API key of the provider, shown this once: ${told.secret}`]
      : ["The API key was shown when the demo ran first."]),
    `  curl -H "Authorization: Bearer ${key}" ${base}/invoices`,
    `  curl -H "Authorization: Bearer ${key}" ${base}/accounts/acme-usd/upcoming-invoice`,
    ...(isServing ? ["Ctrl-C stops it."] : []),
  ].join("\n");
}
