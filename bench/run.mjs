// npm run bench [-- PART …] [--quick]: the promises of the README, measured. Every row is the median of five with its spread;
// rates are also quoted against the raw limit of the same database in the same run. `--quick` takes three smaller samples.
// The first part, `ingest`, is in this file; the others run in processes of their own.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { cpus, totalmem } from "node:os";
import { install } from "./installation.mjs";
import { load, rawCopy, rawUnnest, sample } from "./ingest.mjs";

const others = [
  "entitlements.mjs",
  "open-batches.mjs",
  "usage-query.ts",
  "month-close.ts",
  "replay.ts",
];
const nameOf = (file) => file.split(".")[0];
const known = ["ingest", ...others.map(nameOf)];
const flags = process.argv.slice(2).filter((word) => word.startsWith("--"));
const asked = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const unknown = asked.filter((part) => !known.includes(part));
if (unknown.length > 0) {
  process.stderr.write(
    `there is no bench ${unknown.join(", ")}: choose from ${known.join(", ")}\n`,
  );
  process.exit(2);
}
const isAsked = (part) => asked.length === 0 || asked.includes(part);

const quick = flags.includes("--quick");
const repeats = quick ? 3 : 5;
const scale = quick ? 0.3 : 1;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const whole = (value) => Math.round(value).toLocaleString("en-US");
const spread = (values, show = whole) =>
  `${show(Math.min(...values))} … ${show(Math.max(...values))}`;

function row(title, values, unit, promise, show = whole) {
  const line = `${title.padEnd(46)} ${`${show(median(values))} ${unit}`.padStart(16)}   ${spread(values, show).padEnd(22)} ${promise}`;
  process.stdout.write(`${line.trimEnd()}\n`);
}

if (isAsked("ingest")) await measureIngest();
for (const file of others.filter((one) => isAsked(nameOf(one)))) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const loader = file.endsWith(".ts") ? ["--import", "tsx"] : [];
  const { status } = spawnSync(process.execPath, [...loader, path, ...flags], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}

async function measureIngest() {
  const at = await install();
  try {
    const { rows: versionRows } = await at.env.store.pool.query("select version()");
    process.stdout.write(
      `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB · Node ${process.versions.node} · ${versionRows[0].version.split(" on ")[0]} (embedded, durable commits)\n` +
        `npm run bench${quick ? " -- --quick" : ""} · load generator on the same cores · median of ${repeats}, spread\n\n`,
    );
    const batches = { connections: 64, batch: 100, events: 300_000 * scale };
    const singles = { connections: 64, batch: 1, events: 60_000 * scale };
    await load(at, { ...batches, events: 60_000 });
    await load(at, { ...singles, events: 10_000 });

    const unpaid = { ...batches, type: "llm.call.unpaid" };
    await load(at, { ...unpaid, events: 20_000 });

    const found = { copy: [], unnest: [], ratio: [], batch: [], unpaid: [], single: [] };
    for (let repeat = 0; repeat < repeats; repeat++) {
      found.copy.push(await rawCopy(at, 200_000 * scale));
      found.unnest.push(await rawUnnest(at, 200_000 * scale));
      found.batch.push(await sample(at, batches));
      found.unpaid.push(await sample(at, unpaid));
      found.single.push(await sample(at, singles));
      found.ratio.push(found.batch.at(-1).perSecond / found.copy.at(-1));
    }
    const of = (samples, name) => samples.map((one) => one[name]);
    const two = (value) => value.toFixed(2);
    row("raw: COPY, same unique key", found.copy, "/s", "");
    row("raw: INSERT from unnest, same unique key", found.unnest, "/s", "");
    row("ingest over HTTP, batches of 100", of(found.batch, "perSecond"), "/s", "≥ 60,000");
    row("  against raw COPY", found.ratio, "×", "≥ 0.35", two);
    row("  server CPU per event", of(found.batch, "serverMicros"), "µs", "", two);
    row("  the same without prepaid units to draw", of(found.unpaid, "perSecond"), "/s", "");
    row("ingest over HTTP, one event a request", of(found.single, "perSecond"), "/s", "≥ 12,000");
    row("  p99", of(found.single, "p99"), "ms", "< 25", two);
    row("  server CPU per event", of(found.single, "serverMicros"), "µs", "", two);
    row("server memory under this load, peak", of(found.single, "memory"), "MB", "< 300");
    const cold = [];
    for (let repeat = 0; repeat < repeats; repeat++)
      cold.push(await at.restart(() => load(at, { connections: 1, batch: 1, events: 1 })));
    row("start after SIGKILL to first accepted event", cold, "s", "< 3", two);
  } finally {
    await at.remove();
  }
}
