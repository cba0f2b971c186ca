import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, answers, chooseAddress, serverArguments, urlOf } from "./address.ts";
import { diagnose, EmbeddedPostgresError, otherVersion } from "./error.ts";
import { canDieWithParent, chooseIdentity, type Identity, launchAs } from "./identity.ts";
import {
  childEnvironment,
  databaseName,
  initialize,
  readSecrets,
  readSecretsFile,
  roles,
  type Secrets,
} from "./initialize.ts";
import { withLock } from "./lock.ts";
import {
  isAlive,
  isPostgres,
  processStamp,
  readPostmasterFile,
  removeDeadFile,
} from "./postmaster-file.ts";
import { findPrograms, type Programs, programIn } from "./programs.ts";
import { throwawaySettings } from "./settings.ts";

export type EmbeddedPostgresOptions = {
  /** Everything about the server lives in here: data, passwords, log, socket. */
  readonly folder: string;
  /** Programs to use instead of the packaged ones (`TALLYLINE_POSTGRES_BIN`). */
  readonly programs?: string | undefined;
  /** For tests: nothing is flushed to disk, and nothing survives. */
  readonly throwaway?: boolean;
  /** What people may want to know meanwhile. */
  readonly note?: (text: string) => void;
};

export type EmbeddedPostgres = {
  readonly folder: string;
  readonly version: string;
  readonly pid: number;
  /** Another process keeps this server, and it goes on after our `stop`. */
  readonly adopted: boolean;
  /** May do everything: migrations, backup. */
  urlOfOwner(database?: string): string;
  /** May do what requests need, and no more. */
  urlOfApplication(database?: string): string;
  stop(): Promise<void>;
};

/**
 * A real PostgreSQL as a part of this process: it starts with us, is restarted when it dies, and ends with us however we
 * end. A second process over the same folder shares the running server.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const note = options.note ?? (() => {});
  const { folder, identity } = prepareFolder(resolve(options.folder), note);
  return withLock(join(folder, "lock"), async () => {
    const shared = await findRunning(folder);
    if (shared) return shared;
    const programs = findPrograms(identity, join(folder, "programs"), options.programs);
    const durable = !options.throwaway;
    if (!existsSync(join(folder, "data", "PG_VERSION"))) {
      note(`creating a database in ${folder}`);
      initialize(folder, programs, identity, durable);
    }
    refuseOtherVersion(folder, programs);
    const secrets = readSecrets(folder, programs, identity);
    const address = await chooseAddress(folder, identity);
    const keeper = new Keeper({ folder, identity, programs, address, durable, note });
    await keeper.start();
    return {
      ...urls(address, secrets),
      folder,
      version: programs.version,
      adopted: false,
      get pid() {
        return keeper.pid;
      },
      stop: () => keeper.stop(),
    };
  });
}

/** The folder, owned by whoever will run the server over it. */
function prepareFolder(
  wanted: string,
  note: (text: string) => void,
): { folder: string; identity: Identity } {
  const folder = existsSync(join(wanted, "moved")) ? movedTo(wanted) : wanted;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw new EmbeddedPostgresError(
      `${folder} cannot be created: ${(error as Error).message}. Choose another --data-dir.`,
      { cause: error },
    );
  }
  const identity = chooseIdentity(folder);
  if (identity) {
    if (identity.kind === "user") chownSync(folder, identity.uid, identity.gid);
    if (process.platform !== "win32") chmodSync(folder, 0o700);
    return { folder, identity };
  }
  // Root in a place that nobody else can reach (its own home), on a kernel without user namespaces.
  if (folder !== wanted || existsSync(join(folder, "data"))) {
    throw new EmbeddedPostgresError(
      `PostgreSQL refuses to run as root, and no other user of this machine can reach ${folder}. ` +
        "Choose a --data-dir outside the home of root, such as /var/lib/tallyline, or start tallyline as another user.",
    );
  }
  const elsewhere = movedTo(wanted);
  writeFileSync(
    join(wanted, "moved"),
    `The database is in ${elsewhere}: PostgreSQL may not run as root, and other users cannot reach this folder.\n`,
  );
  note(`the database goes to ${elsewhere}: only root can reach ${wanted}`);
  return prepareFolder(wanted, note);
}

const movedTo = (wanted: string) => join("/var/lib", `tallyline${wanted.replaceAll("/", "-")}`);

function refuseOtherVersion(folder: string, programs: Programs): void {
  const data = join(folder, "data");
  const found = readFileSync(join(data, "PG_VERSION"), "utf8").trim();
  if (found !== programs.major) {
    throw new EmbeddedPostgresError(otherVersion(data, found, programs.version));
  }
}

function urls(
  address: Address,
  secrets: Secrets,
): Pick<EmbeddedPostgres, "urlOfOwner" | "urlOfApplication"> {
  return {
    urlOfOwner: (database = databaseName) => urlOf(address, roles.owner, secrets.owner, database),
    urlOfApplication: (database = databaseName) =>
      urlOf(address, roles.application, secrets.application, database),
  };
}

/**
 * A server that another living process keeps is shared. One whose keeper died is on its way down, or soon will be: see it
 * off, so that the one we start next is tied to us.
 */
async function findRunning(folder: string): Promise<EmbeddedPostgres | undefined> {
  const data = join(folder, "data");
  for (let waitedMs = 0; ; waitedMs += 25) {
    const file = readPostmasterFile(data);
    if (!file || !isPostgres(file.pid)) return undefined;
    if (!isKept(folder)) {
      if (waitedMs === 0) signal(file.pid, "SIGINT");
      if (waitedMs > 60_000) signal(file.pid, "SIGQUIT");
    } else if (file.status === "ready") {
      const address: Address = file.socketFolder
        ? { kind: "socket", folder: file.socketFolder }
        : { kind: "tcp", port: file.port };
      if (await answers(address)) {
        const version = readFileSync(join(data, "PG_VERSION"), "utf8").trim();
        return {
          ...urls(address, readSecretsFile(folder)),
          folder,
          version,
          pid: file.pid,
          adopted: true,
          stop: async () => {},
        };
      }
    }
    await sleep(25);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone.
  }
}

const keeperFile = (folder: string) => join(folder, "keeper");

function isKept(folder: string): boolean {
  try {
    const stamp = readFileSync(keeperFile(folder), "utf8");
    return processStamp(Number(stamp.split(" ")[0])) === stamp;
  } catch {
    return false;
  }
}

type Keeping = {
  readonly folder: string;
  readonly identity: Identity;
  readonly programs: Programs;
  readonly address: Address;
  readonly durable: boolean;
  readonly note: (text: string) => void;
};

/** Holds one server up until told to stop. */
class Keeper {
  readonly #keeping: Keeping;
  #child: ChildProcess | undefined;
  #watchdog: ChildProcess | undefined;
  #stopping = false;
  #restartedAt: number[] = [];

  constructor(keeping: Keeping) {
    this.#keeping = keeping;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    const { folder } = this.#keeping;
    writeFileSync(keeperFile(folder), processStamp(process.pid) ?? "", { mode: 0o600 });
    // What a killed server left in shared memory goes away with its last child: a moment later.
    for (let attempt = 1; ; attempt++) {
      const log = await this.#launch();
      if (log === undefined) {
        // Told to stop while it came back.
        if (this.#stopping) this.#child?.kill("SIGINT");
        return;
      }
      if (attempt >= 40 || !this.#isPassing(log)) throw diagnose(log, join(folder, "data"));
      await sleep(250);
      removeDeadFile(join(folder, "data"));
    }
  }

  #isPassing(log: string): boolean {
    if (/pre-existing shared memory block|could not bind|Address already in use/i.test(log))
      return true;
    const other = readPostmasterFile(join(this.#keeping.folder, "data"));
    return /lock file "[^"]*" already exists/.test(log) && !(other && isAlive(other.pid));
  }

  /** Start the server and wait until it takes connections. When it ends instead, answer what it wrote. */
  async #launch(): Promise<string | undefined> {
    const { folder, identity, programs, address, durable } = this.#keeping;
    const data = join(folder, "data");
    const logFile = join(folder, "server.log");
    rotate(logFile);
    const log = openSync(logFile, "a", 0o600);
    const from = statSync(logFile).size;
    const settings = [
      ...serverArguments(address),
      "unix_socket_permissions=0700",
      "cluster_name=tallyline",
      ...(durable ? [] : Object.entries(throwawaySettings).map((entry) => entry.join("="))),
    ];
    const dieWithParent = canDieWithParent();
    const { file, args, ...as } = launchAs(
      identity,
      programIn(programs.bin, "postgres"),
      ["-D", data, ...settings.flatMap((setting) => ["-c", setting])],
      { dieWithParent },
    );
    const child = spawn(file, args, {
      ...as,
      cwd: folder,
      env: childEnvironment(folder),
      stdio: ["ignore", log, log],
      // Ctrl-C goes to everybody in the terminal's group; the server must outlive our own graceful end.
      detached: process.platform !== "win32",
    });
    closeSync(log);
    let failure: Error | undefined;
    child.once("error", (error) => {
      failure = error;
    });
    while (failure === undefined && child.exitCode === null && child.signalCode === null) {
      const running = readPostmasterFile(data);
      if (running?.pid === child.pid && running?.status === "ready" && (await answers(address))) {
        this.#child = child;
        child.once("exit", () => void this.#onExit());
        if (!dieWithParent && child.pid) this.#watchdog = watch(child.pid);
        return undefined;
      }
      await sleep(15);
    }
    if (failure) return failure.message;
    return readFileSync(logFile, "utf8").slice(from) || `it ended with ${child.signalCode}`;
  }

  /** The server died although nobody asked it to: bring it back; it recovers what was acknowledged. */
  async #onExit(): Promise<void> {
    this.#endWatchdog();
    if (this.#stopping) return;
    const { note, folder } = this.#keeping;
    const now = Date.now();
    this.#restartedAt = [...this.#restartedAt.filter((at) => now - at < 60_000), now];
    if (this.#restartedAt.length > 5) {
      note(`the database died six times in a minute and stays down; see ${folder}/server.log`);
      return;
    }
    note("the database died; starting it again");
    try {
      await this.start();
    } catch (error) {
      note(`the database does not come back: ${(error as Error).message}`);
    }
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((done) => child.once("exit", done));
      if (process.platform === "win32") this.#stopOnWindows();
      else child.kill(this.#keeping.durable ? "SIGINT" : "SIGQUIT");
      // It is writing out what changed. Longer than this and it had better recover at the next start.
      const late = setTimeout(() => child.kill("SIGQUIT"), 60_000);
      await gone;
      clearTimeout(late);
    }
    this.#endWatchdog();
    rmSync(keeperFile(this.#keeping.folder), { force: true });
  }

  #stopOnWindows(): void {
    const { programs, folder } = this.#keeping;
    spawn(programIn(programs.bin, "pg_ctl"), ["stop", "-m", "fast", "-D", join(folder, "data")]);
  }

  #endWatchdog(): void {
    this.#watchdog?.kill("SIGKILL");
    this.#watchdog = undefined;
  }
}

/** Where the kernel does not tell the server of our death: a shell that reads a pipe from us until it closes. */
function watch(pid: number): ChildProcess | undefined {
  if (process.platform === "win32") return undefined;
  const script = 'while read -r _; do :; done; kill -INT "$0"';
  const watchdog = spawn("/bin/sh", ["-c", script, String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watchdog.unref();
  return watchdog;
}

const logMax = 20 * 1024 * 1024;

function rotate(logFile: string): void {
  if (existsSync(logFile) && statSync(logFile).size > logMax) renameSync(logFile, `${logFile}.1`);
}
