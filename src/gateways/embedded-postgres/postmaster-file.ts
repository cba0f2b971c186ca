import { readFileSync } from "node:fs";
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

/** Whether a process exists; a signal that we may not send proves it too. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
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
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return `${pid}`;
  }
}
