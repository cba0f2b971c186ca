// A mail sender in a process of its own, for tests that kill it: url of the database, url of the mail server.
import type { Env } from "../../src/flows/env.ts";
import { smtpMail } from "../../src/gateways/mail.ts";
import { startMailSender } from "../../src/jobs/mail-sender.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { idMaker } from "../../src/kit/ids.ts";
import { systemRandom } from "../../src/kit/random.ts";
import { openStore } from "../../src/store/connect.ts";

const [url, smtpUrl] = process.argv.slice(2) as [string, string];
const clock = systemClock();
const random = systemRandom();
const env: Env = {
  store: openStore(url, { connectionsMax: 4 }),
  now: () => clock.now(),
  id: idMaker(clock, random),
  random,
  pepper: Buffer.alloc(32),
};
startMailSender(env, {
  gateway: smtpMail(smtpUrl),
  from: "billing@provider.example",
  // A dead sender's mails come back after two seconds instead of five minutes.
  leaseMicros: 2_000_000,
  restMs: 50,
  hands: 3,
});
