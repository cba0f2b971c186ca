import { readFileSync, statfsSync } from "node:fs";
import { totalmem } from "node:os";

const mebibyte = 1024 * 1024;

/** What goes into postgresql.conf of a new database: durable first, then sized to the machine. Yours to edit. */
export function initialSettings(folder: string): string {
  const memory = memoryBytes() / mebibyte;
  const { bavail, bsize } = statfsSync(folder);
  const free = (bavail * bsize) / mebibyte;
  const walMax = Math.max(256, Math.min(4096, Math.floor(free / 10)));
  const settings = {
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    wal_compression: "on",
    max_wal_size: `${walMax}MB`,
    min_wal_size: `${Math.max(80, Math.floor(walMax / 4))}MB`,
    checkpoint_timeout: "15min",
    shared_buffers: `${Math.floor(Math.max(32, Math.min(512, memory / 4)))}MB`,
    effective_cache_size: `${Math.floor(Math.max(128, memory / 2))}MB`,
    maintenance_work_mem: "64MB",
    random_page_cost: "1.1",
    max_connections: "200",
    password_encryption: "scram-sha-256",
    timezone: "UTC",
    log_timezone: "UTC",
    log_checkpoints: "off",
    jit: "off",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
  return `\n# Written once by tallyline. Later lines win: add yours below.\n${lines.join("")}`;
}

/** For servers that nobody will miss: tests. */
export const throwawaySettings: Readonly<Record<string, string>> = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: "400",
  shared_buffers: "128MB",
  checkpoint_timeout: "1h",
};

/** The machine's memory, or the part of it that this container may use. */
function memoryBytes(): number {
  for (const file of ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]) {
    try {
      const limit = Number(readFileSync(file, "utf8"));
      if (limit > 0) return Math.min(limit, totalmem());
    } catch {
      // No limit is set there.
    }
  }
  return totalmem();
}
