import { z } from "zod";

/** The caller is wrong, not the system: bad arguments, bad environment. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const text = z.string().trim().min(1, "is empty");
const flag = z
  .enum(["0", "1", "true", "false"], "must be 1 or 0")
  .transform((value) => value === "1" || value === "true");
const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, "must be a whole number")
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be between ${least} and ${most}`);

/** Every variable the program reads, and nothing else reads the environment. */
const variables = {
  DATABASE_URL: text.optional(),
  /** Where the embedded database and the secrets of this installation live. */
  TALLYLINE_DATA_DIR: text.default(".tallyline"),
  TALLYLINE_HOST: text.default("127.0.0.1"),
  TALLYLINE_PORT: whole(0, 65535).default(4480),
  TALLYLINE_LOG_LEVEL: z
    .enum(
      ["trace", "debug", "info", "warn", "error", "silent"],
      "must be one of trace, debug, info, warn, error, silent",
    )
    .default("info"),
  /** Connections to the database that one process opens at most. */
  TALLYLINE_CONNECTIONS: whole(2, 500).default(20),
  /** Prepared statements by name: faster, but poolers such as pgbouncer before 1.21 mix them up. */
  TALLYLINE_NAMED_STATEMENTS: flag.default(false),
  /** Send passwords and data to a remote database without TLS. Only for networks that are private in themselves. */
  TALLYLINE_ALLOW_PLAINTEXT_DATABASE: flag.default(false),
  /** The secret under which API keys are stored: 64 or more hexadecimal digits, the same for every process. */
  TALLYLINE_PEPPER: z
    .string()
    .regex(
      /^(?:[0-9a-fA-F]{2}){32,}$/,
      "must be 64 or more hexadecimal digits (openssl rand -hex 32)",
    )
    .transform((hex) => Buffer.from(hex, "hex"))
    .optional(),
  /** A folder with `postgres` and `initdb` to use instead of the embedded ones. */
  TALLYLINE_POSTGRES_BIN: text.optional(),
  /** The server that mails leave by; without one they wait in the outbox. */
  TALLYLINE_SMTP_URL: text
    .regex(
      /^smtps?:\/\/[^\s/]+/,
      "must be a mail server, as in smtp://user:secret@mail.example:587",
    )
    .optional(),
  /** The address that mails come from. */
  TALLYLINE_MAIL_FROM: z.email("must be a mail address, as in billing@example.com").optional(),
  /** Where cards are charged, and the secret shared with it; without, batches can only go onto an invoice. */
  TALLYLINE_PAYMENTS_URL: text
    .regex(
      /^https:\/\/[^\s/]+|^http:\/\/(localhost|127\.0\.0\.1)(:|\/|$)/,
      "must be an https address, or http on this machine",
    )
    .optional(),
  TALLYLINE_PAYMENTS_SECRET: text.min(16, "must be 16 or more characters").optional(),
};

export type Config = {
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  readonly connectionsMax: number;
  readonly namedStatements: boolean;
  readonly pepper: Uint8Array | undefined;
  readonly postgresBin: string | undefined;
  readonly payments: { readonly url: string; readonly secret: string } | undefined;
  readonly mail: { readonly smtpUrl: string; readonly from: string } | undefined;
};

/** What the command line says wins over the environment. */
export type ConfigOverrides = {
  readonly databaseUrl?: string | undefined;
  readonly dataDir?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: string | undefined;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/** Read the environment once. Throws `UsageError` that names each variable and what it must look like. */
export function readConfig(environment: Environment, overrides: ConfigOverrides = {}): Config {
  refuseUnknown(environment);
  const given = {
    ...environment,
    ...defined({
      DATABASE_URL: overrides.databaseUrl,
      TALLYLINE_DATA_DIR: overrides.dataDir,
      TALLYLINE_HOST: overrides.host,
      TALLYLINE_PORT: overrides.port,
    }),
  };
  // An empty variable is how shells and compose files say "not set".
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
  const parsed = z.object(variables).safeParse(set);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);
    throw new UsageError(faults.join("\n"));
  }
  const values = parsed.data;
  if (values.DATABASE_URL) {
    requireTls(values.DATABASE_URL, values.TALLYLINE_ALLOW_PLAINTEXT_DATABASE);
  }
  return {
    databaseUrl: values.DATABASE_URL,
    dataDir: values.TALLYLINE_DATA_DIR,
    host: values.TALLYLINE_HOST,
    port: values.TALLYLINE_PORT,
    logLevel: values.TALLYLINE_LOG_LEVEL,
    connectionsMax: values.TALLYLINE_CONNECTIONS,
    namedStatements: values.TALLYLINE_NAMED_STATEMENTS,
    pepper: values.TALLYLINE_PEPPER,
    postgresBin: values.TALLYLINE_POSTGRES_BIN,
    payments: paymentsOf(values.TALLYLINE_PAYMENTS_URL, values.TALLYLINE_PAYMENTS_SECRET),
    mail: mailOf(values.TALLYLINE_SMTP_URL, values.TALLYLINE_MAIL_FROM),
  };
}

/** Mails need a server and a sender: one without the other is a mistake, not a choice. */
function mailOf(smtpUrl: string | undefined, from: string | undefined): Config["mail"] {
  if (smtpUrl !== undefined && from !== undefined) return { smtpUrl, from };
  if (smtpUrl === undefined && from === undefined) return undefined;
  throw new UsageError(
    smtpUrl === undefined
      ? "TALLYLINE_MAIL_FROM is set and TALLYLINE_SMTP_URL is not: name the server that mails leave by."
      : "TALLYLINE_SMTP_URL is set and TALLYLINE_MAIL_FROM is not: name the address that mails come from.",
  );
}

function paymentsOf(url: string | undefined, secret: string | undefined): Config["payments"] {
  if (url !== undefined && secret !== undefined) return { url, secret };
  if (url === undefined && secret === undefined) return undefined;
  throw new UsageError(
    "TALLYLINE_PAYMENTS_URL and TALLYLINE_PAYMENTS_SECRET belong together: set both, or none.",
  );
}

function defined(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** A misspelt variable would be ignored silently: refuse it, with the name that was probably meant. */
function refuseUnknown(environment: Environment): void {
  const known = Object.keys(variables);
  const unknown = Object.keys(environment).filter(
    (name) =>
      name.startsWith("TALLYLINE_") && !name.startsWith("TALLYLINE_TEST_") && !known.includes(name),
  );
  if (unknown.length === 0) return;
  const sentences = unknown.map((name) => {
    const meant = known.toSorted((a, b) => distance(a, name) - distance(b, name))[0] as string;
    const hint = distance(meant, name) <= 6 ? ` Did you mean ${meant}?` : "";
    return `${name} is not a variable of tallyline.${hint}`;
  });
  throw new UsageError(sentences.join("\n"));
}

/** Edit distance (Levenshtein): how many letters to change, add or take away. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

const verifying = new Set(["verify-full", "verify-ca", "require", "prefer", "no-verify"]);

/** A database on another machine is reached through TLS, or with an explicit word that it need not be. */
function requireTls(connectionString: string, plaintextAllowed: boolean): void {
  const url = parseDatabaseUrl(connectionString);
  const mode = url.searchParams.get("sslmode");
  if (mode !== null && mode !== "disable" && !verifying.has(mode)) {
    throw new UsageError(
      `DATABASE_URL: sslmode=${mode} is not one of disable, require, verify-ca, verify-full`,
    );
  }
  if (isLocal(url)) return;
  const encrypted = mode !== null && mode !== "disable" && mode !== "prefer";
  if (encrypted || (mode === "disable" && plaintextAllowed)) return;
  throw new UsageError(
    `DATABASE_URL points to ${url.hostname} without TLS. Add ?sslmode=verify-full (or require); ` +
      "if that network is private in itself, add ?sslmode=disable and set TALLYLINE_ALLOW_PLAINTEXT_DATABASE=1.",
  );
}

/** Read a Postgres URL; the host may be missing (a Unix socket given as ?host=). */
function parseDatabaseUrl(connectionString: string): URL {
  try {
    if (!/^postgres(?:ql)?:\/\//.test(connectionString)) throw new TypeError("scheme");
    return new URL(connectionString.replace(/^(\w+:\/\/(?:[^/@?]*@)?)(?=[/?]|$)/, "$1localhost"));
  } catch {
    throw new UsageError(
      "DATABASE_URL is not a Postgres address: write postgresql://user:password@host:5432/database",
    );
  }
}

/** Whether the database runs on this machine, so that nobody listens on the way. */
export const isLocalDatabase = (connectionString: string): boolean =>
  isLocal(parseDatabaseUrl(connectionString));

function isLocal(url: URL): boolean {
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname);
  return (
    host.startsWith("/") ||
    host === "localhost" ||
    host === "[::1]" ||
    host === "::1" ||
    /^127\.\d+\.\d+\.\d+$/.test(host)
  );
}
