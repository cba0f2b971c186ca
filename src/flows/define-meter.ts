import { type Author } from "../domain/audit/index.ts";
import {
  changeMeter,
  type Meter,
  type MeterChange,
  readMeter,
  writeMeter,
} from "../domain/catalog/index.ts";
import { Problem } from "../domain/refusals/index.ts";
import { assert } from "../kit/assert.ts";
import { appendAudit, providerChain } from "../store/audit.ts";
import { bumpCatalogVersion, saveMeter } from "../store/catalog.ts";
import type { Tx } from "../store/connect.ts";
import { findMeter, type KnownMeter, lockMeter } from "../store/meters.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

/** Define a meter from a document nobody has checked. It counts events from this moment on. */
export async function defineMeter(
  env: Env,
  author: Author,
  document: unknown,
): Promise<KnownMeter> {
  const meter = readSound(document);
  return transaction(env.store.db, async (tx) => {
    if (await findMeter(tx, meter.key))
      throw new Problem("meter_key_taken", `There is already a meter ${meter.key}.`);
    return save(env, tx, author, env.id("meter"), meter, null);
  });
}

/** Change what may change of a meter: the members of the document replace those of the definition. */
export async function redefineMeter(
  env: Env,
  author: Author,
  reference: string,
  changes: Readonly<Record<string, unknown>>,
): Promise<KnownMeter> {
  return transaction(env.store.db, async (tx) => {
    const current = await lockMeter(tx, reference);
    if (!current) throw new Problem("meter_not_found");
    const next = readSound({ ...writeMeter(current.meter), ...changes });
    const change = changeMeter(current.meter, next);
    if (change.kind === "refused") throw refusalOf(change);
    if (change.changed.length === 0) return current;
    return save(env, tx, author, current.id, next, current.meter);
  });
}

function readSound(document: unknown): Meter {
  const { meter, faults } = readMeter(document);
  if (meter) return meter;
  const first = faults[0];
  throw new Problem("meter_not_valid", first && `${first.pointer} ${first.detail}`, { faults });
}

const refusalOf = ({ reason, pointer, detail }: Extract<MeterChange, { kind: "refused" }>) =>
  new Problem(reason, detail, { faults: [{ pointer, detail }] });

async function save(
  env: Env,
  tx: Tx,
  author: Author,
  meterId: string,
  meter: Meter,
  before: Meter | null,
): Promise<KnownMeter> {
  const { key, eventType, status } = meter;
  const now = env.now();
  await saveMeter(tx, { meterId, key, eventType, status, definition: writeMeter(meter) }, now);
  await bumpCatalogVersion(tx);
  const saved = await findMeter(tx, key);
  assert(saved, `meter ${key} was saved`);
  await appendAudit(tx, env.id, providerChain, [
    {
      at: now,
      author,
      action: before ? "meter.changed" : "meter.defined",
      target: { kind: "meter", id: saved.id },
      before: before && writeMeter(before),
      after: writeMeter(meter),
    },
  ]);
  return saved;
}
