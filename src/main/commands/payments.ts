import { startSimulatedProcessor } from "../../gateways/simulated-processor.ts";
import { systemClock } from "../../kit/clock.ts";
import { seededRandom } from "../../kit/random.ts";
import { second } from "../../kit/time.ts";
import type { AddCommand } from "../command.ts";
import { UsageError } from "../config.ts";
import { untilStopped } from "../signals.ts";

type SimulateOptions = {
  port: string;
  secret?: string;
  seed: string;
  declined: string;
  lostAnswer: string;
  lostRequest: string;
  file?: string;
  notify?: string;
  times: string;
};

export const addPayments: AddCommand = (program, run) => {
  program
    .command("payments")
    .description("card payments")
    .command("simulate")
    .description("a card processor to try things with: no money moves")
    .option("--port <port>", "where it listens on this machine", "4490")
    .option("--secret <text>", "shared with TALLYLINE_PAYMENTS_SECRET (the default)")
    .option("--seed <number>", "the same faults again", "1")
    .option("--declined <percent>", "charges that are declined", "0")
    .option("--lost-answer <percent>", "charges that are made, and the answer gets lost", "0")
    .option("--lost-request <percent>", "charges that never arrive", "0")
    .option("--file <file>", "keep charges here")
    .option("--notify <url>", "tell …/v1/payment-notifications what became of charges")
    .option("--times <number>", "how often to tell each", "1")
    .action(
      run(async ({ config, note, print }, options: SimulateOptions) => {
        const secret = options.secret ?? config.payments?.secret;
        if (secret === undefined) throw new UsageError("--secret is missing");
        const clock = systemClock();
        const processor = await startSimulatedProcessor({
          port: whole("port", options.port, 65_535),
          secret,
          random: seededRandom(whole("seed", options.seed, 2 ** 31)),
          faults: {
            declinedPercent: whole("declined", options.declined, 100),
            lostAnswerPercent: whole("lost-answer", options.lostAnswer, 100),
            lostRequestPercent: whole("lost-request", options.lostRequest, 100),
          },
          file: options.file,
          notify: options.notify
            ? { url: options.notify, times: whole("times", options.times, 100) }
            : undefined,
          nowSeconds: () => Math.floor(clock.now() / second),
        });
        print({ address: processor.url }, `TALLYLINE_PAYMENTS_URL=${processor.url}`);
        await untilStopped(note);
        await processor.close();
        return 0;
      }),
    );
};

function whole(name: string, text: string, most: number): number {
  const value = Number(text);
  if (/^\d{1,10}$/.test(text) && value <= most) return value;
  throw new UsageError(`--${name} is a whole number up to ${most}`);
}
