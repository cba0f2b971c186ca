import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";

/** What a running server says about itself in `postmaster.pid`. */
export type PostmasterFile = {
  readonly pid: number;
  readonly port: number;
  readonly socketFolder: string;
  readonly address: string;
  readonly status: string;
};

export function readPostmasterFile(data: string): PostmasterFile | undefined {
  try {
    const lines = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
    const [pid, , , port, socketFolder = "", address = "", , status = ""] = lines;
    // Negative while a single-user session holds the folder.
    const number = Math.abs(Number(pid));
    if (!Number.isSafeInteger(number) || number === 0) return undefined;
    return {
      pid: number,
      port: Number(port),
      socketFolder: socketFolder.trim(),
      address: address.trim(),
      status: status.trim(),
    };
  } catch {
    return undefined;
  }
}

/** Whether a process runs; a signal that we may not send proves it too. One that waits to be buried is dead. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code !== "EPERM") return false;
  }
  const [state] = statOf(pid) ?? [];
  return state !== "Z" && state !== "X";
}

/** The fields of /proc/PID/stat from the state on; undefined where there is no such file. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** Whether that process is a PostgreSQL; a file left over from before a reboot names some other program's number. */
export function isPostgres(pid: number): boolean {
  if (!isAlive(pid)) return false;
  if (process.platform !== "linux") return true;
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "postgres";
  } catch {
    return false;
  }
}

/** A process by number and birth, because numbers come round again (in containers at once: always 1). */
export function processStamp(pid: number): string | undefined {
  if (!isAlive(pid)) return undefined;
  const startedAt = statOf(pid)?.[19];
  return startedAt ? `${pid} ${startedAt}` : `${pid}`;
}

/**
 * Remove a `postmaster.pid` whose server is dead but not buried (a container whose first process buries nobody): the next
 * server would take its number for alive. Only when no process at all works in the folder any more.
 */
export function removeDeadFile(data: string): void {
  const file = readPostmasterFile(data);
  if (!file || isAlive(file.pid) || process.platform !== "linux") return;
  const someoneInside = readdirSync("/proc").some((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`) === data;
    } catch {
      return false;
    }
  });
  if (!someoneInside) rmSync(join(data, "postmaster.pid"), { force: true });
}
