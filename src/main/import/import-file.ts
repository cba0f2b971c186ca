import { createWriteStream, existsSync, statSync, type WriteStream } from "node:fs";
import {
  columnsOf,
  type ImportedEvent,
  type ImportMap,
  rowMapper,
} from "../../domain/imports/index.ts";
import type { Progress } from "../progress.ts";
import { type Checkpoint } from "./checkpoint.ts";
import { type NumberedRow, rowsOf } from "./rows.ts";
import type { Sender, Sent } from "./send.ts";

export type ImportTally = {
  readonly rows: number;
  accepted: number;
  duplicate: number;
  conflict: number;
  quarantined: number;
  rejected: number;
  bad: number;
  skipped: number;
  readonly rejects: string | null;
};

const batchSize = 1_000;
const inFlightMax = 4;

type Waiting = { readonly line: number; readonly event: ImportedEvent };

/**
 * Read a file, turn its rows into events and send them, a thousand at a time. Rows that cannot be used are written into a
 * rejects file with their line number and the reason; everything else goes on.
 */
export async function importFile(options: {
  readonly file: string;
  readonly map: ImportMap;
  readonly sender: Sender;
  readonly checkpoint: Checkpoint;
  readonly rejectsFile: string;
  readonly progress: Progress;
}): Promise<ImportTally> {
  const { file, map, sender, checkpoint, progress } = options;
  const size = statSync(file).size;
  const rejects = openRejects(options.rejectsFile);
  const tally = {
    accepted: 0,
    duplicate: 0,
    conflict: 0,
    quarantined: 0,
    rejected: 0,
    bad: 0,
    skipped: 0,
  };
  const mapRow = rowMapper(map);
  let rows = 0;
  let bytes = 0;
  let batch: Waiting[] = [];
  // Batches finish in whatever order; the checkpoint moves only over a gap-free beginning.
  const running: Promise<void>[] = [];
  let failure: unknown;
  const settle = async () => {
    await Promise.all(running.splice(0));
    if (failure !== undefined) throw failure;
  };

  const send = async (own: readonly Waiting[]) => {
    const answers = await sender.send(own.map((one) => one.event));
    for (const [i, answer] of answers.entries())
      count(tally, answer, (own[i] as Waiting).line, rejects);
    progress.update(bytes, size, `${rows.toLocaleString("en")} rows`);
  };
  const flush = async () => {
    const own = batch;
    batch = [];
    if (own.length === 0) return;
    // A batch may fail while the next rows are still being read: kept until somebody waits.
    running.push(
      send(own).catch((error: unknown) => {
        failure ??= error;
      }),
    );
    if (running.length < inFlightMax) return;
    await settle();
    checkpoint.save((own.at(-1) as Waiting).line);
  };

  for await (const given of rowsOf(file, map, (read) => (bytes = read))) {
    rows += 1;
    if (rows === 1) refuseMissingColumns(map, given);
    const mapped =
      "row" in given ? mapRow(given.row) : { kind: "bad" as const, reason: given.reason };
    if (mapped.kind === "bad") {
      tally.bad += 1;
      rejects.write(given.line, mapped.reason, "row" in given ? given.row : given.raw);
    } else if (given.line <= checkpoint.lines) {
      tally.skipped += 1;
    } else {
      batch.push({ line: given.line, event: mapped.event });
      if (batch.length >= batchSize) await flush();
    }
  }
  await flush();
  await settle();
  await rejects.close();
  checkpoint.done();
  progress.end();
  return {
    rows,
    ...tally,
    rejects: tally.bad + tally.rejected + tally.conflict > 0 ? options.rejectsFile : null,
  };
}

function count(
  tally: Record<Sent["fate"], number>,
  answer: Sent,
  line: number,
  rejects: Rejects,
): void {
  tally[answer.fate] += 1;
  if (answer.fate === "rejected" || answer.fate === "conflict")
    rejects.write(line, answer.detail || "another event is stored under this id", null);
}

type Rejects = { write(line: number, reason: string, row: unknown): void; close(): Promise<void> };

/** Opened with the first reject: a clean import leaves no file. */
function openRejects(file: string): Rejects {
  let stream: WriteStream | undefined;
  return {
    write(line, reason, row) {
      stream ??= createWriteStream(file, { flags: existsSync(file) ? "w" : "wx" });
      stream.write(`${JSON.stringify({ line, reason, ...(row === null ? {} : { row }) })}\n`);
    },
    close: () =>
      new Promise((resolve, reject) =>
        stream
          ? stream.end((error?: Error | null) => (error ? reject(error) : resolve()))
          : resolve(),
      ),
  };
}

export class MissingColumnsError extends Error {
  override readonly name = "MissingColumnsError";
}

function refuseMissingColumns(map: ImportMap, first: NumberedRow): void {
  if (!("row" in first)) return;
  const missing = columnsOf(map).filter((column) => !(column in first.row));
  if (missing.length === 0) return;
  throw new MissingColumnsError(
    `the file has no column ${missing.join(", ")}: it has ${Object.keys(first.row).join(", ")}`,
  );
}
