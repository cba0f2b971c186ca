import { readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { EmbeddedPostgresError } from "./error.ts";
import { processStamp } from "./postmaster-file.ts";

const patienceMs = 120_000;

/** One process at a time does this over a folder; the lock of a process that died is taken over. */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  for (let waitedMs = 0; !tryTake(path); waitedMs += 20) {
    if (waitedMs > patienceMs) {
      throw new EmbeddedPostgresError(
        `another tallyline has been starting or stopping the database for two minutes (${path}). Stop it, or remove that file when there is none.`,
      );
    }
    await sleep(20);
  }
  try {
    return await work();
  } finally {
    unlinkSync(path);
  }
}

function tryTake(path: string): boolean {
  try {
    writeFileSync(path, processStamp(process.pid) ?? "", { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
    removeIfDead(path);
    return false;
  }
}

function removeIfDead(path: string): void {
  try {
    const holder = readFileSync(path, "utf8");
    // Between its creation and its content there is a moment; a process that died in it leaves it empty.
    const empty = holder === "" && Date.now() - statSync(path).mtimeMs > 5_000;
    const dead = holder !== "" && processStamp(Number(holder.split(" ")[0])) !== holder;
    if (empty || dead) rmSync(path, { force: true });
  } catch {
    // It was given back just now.
  }
}
