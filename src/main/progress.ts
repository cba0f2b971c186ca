import { stderr } from "node:process";

export type Progress = { update(done: number, total: number, note?: string): void; end(): void };

const barWidth = 28;
const everyMs = 100;

/**
 * A bar on standard error for work longer than a second: nothing before that, nothing with --json, and one line at a time
 * where standard error is not a terminal (a log keeps what it is given).
 */
export function progress(title: string, silent: boolean): Progress {
  const started = Date.now();
  let drawnAt = 0;
  let drawn = false;
  const show = (done: number, total: number, note: string) => {
    const now = Date.now();
    const wait = stderr.isTTY ? everyMs : 5000;
    if (silent || now - started < 1000 || (now - drawnAt < wait && done < total)) return;
    drawnAt = now;
    const share = total > 0 ? Math.min(1, done / total) : 1;
    const full = Math.round(share * barWidth);
    const bar = `${"█".repeat(full)}${"░".repeat(barWidth - full)}`;
    const left =
      share > 0.02 && share < 1
        ? `  ${Math.ceil(((now - started) / share - (now - started)) / 1000)} s left`
        : "";
    const text = `${title} ${bar} ${String(Math.floor(share * 100)).padStart(3)} %${note ? `  ${note}` : ""}${left}`;
    stderr.write(stderr.isTTY ? `\r\u001b[2K${text}` : `${text}\n`);
    drawn = true;
  };
  return {
    update: (done, total, note = "") => show(done, total, note),
    end() {
      if (drawn && stderr.isTTY) stderr.write("\r\u001b[2K");
    },
  };
}
