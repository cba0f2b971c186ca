// A mail sender in a process of its own, for tests that kill it: url of the database, url of the mail server.
const [url, smtpUrl] = process.argv.slice(2);
const from = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href);
const { smtpMail } = await from("gateways/mail.js");
const { startMailSender } = await from("jobs/mail-sender.js");
const { systemClock } = await from("kit/clock.js");
const { idMaker } = await from("kit/ids.js");
const { systemRandom } = await from("kit/random.js");
const { openStore } = await from("store/connect.js");

const clock = systemClock();
const random = systemRandom();
const env = {
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
