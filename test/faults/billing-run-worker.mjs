// A billing-run worker in a process of its own, for tests that kill it: url, run, now. The compiled program, as in production;
// a dot for each batch that is through.
const [url, runId, now] = process.argv.slice(2);
const from = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href);
const { workBillingRun } = await from("flows/billing-run.js");
const { systemClock } = await from("kit/clock.js");
const { idMaker } = await from("kit/ids.js");
const { systemRandom } = await from("kit/random.js");
const { instant } = await from("kit/time.js");
const { openStore } = await from("store/connect.js");

const random = systemRandom();
const env = {
  store: openStore(url, { connectionsMax: 2 }),
  now: () => instant(now),
  id: idMaker(systemClock(), random),
  random,
  pepper: Buffer.alloc(32),
};
// Others may hold what is left and be killed before they are done: look again until the parent is content.
for (;;) {
  const count = await workBillingRun(env, runId, 8);
  process.stdout.write(".");
  if (count === 0) await new Promise((resolve) => setTimeout(resolve, 100));
}
