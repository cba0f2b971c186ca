import { EmbeddedPostgresError } from "../gateways/embedded-postgres/index.ts";
import { MigrationError } from "../store/migrate.ts";

type Failure = { readonly code: string; readonly title: string; readonly detail: string };

/** What failed around us, in words that say how to mend it; undefined when it is not of that sort. */
export function outsideFailure(error: unknown): Failure | undefined {
  if (error instanceof EmbeddedPostgresError)
    return { code: "embedded_database", title: "the embedded database", detail: error.message };
  if (error instanceof MigrationError)
    return { code: "migration", title: "the database does not fit", detail: error.message };
  const { code = "", message = "" } = error as { code?: string; message?: string };
  if (code === "EADDRINUSE" || (code === "EACCES" && message.includes("listen"))) {
    const { address = "", port = 0 } = error as { address?: string; port?: number };
    const taken = code === "EADDRINUSE" ? "is taken by another program" : "may not be listened on";
    return {
      code: "address",
      title: "the address",
      detail: `${address}:${port} ${taken}. Choose another with --port (0 takes any free one).`,
    };
  }
  const advice = advised(code);
  if (!advice) return undefined;
  return {
    code: "database",
    title: "the database",
    detail: `${reasonOf(error, message)}. ${advice}`,
  };
}

/** Several addresses were tried and each failed: say the first reason. */
function reasonOf(error: unknown, message: string): string {
  const first =
    error instanceof AggregateError ? (error.errors[0] as Error | undefined) : undefined;
  return (first?.message ?? message).replace(/\.$/, "");
}

/** By system error, or by class of SQLSTATE. */
function advised(code: string): string | undefined {
  switch (code) {
    case "ECONNREFUSED":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EHOSTUNREACH":
    case "ETIMEDOUT":
    case "ECONNRESET":
      return "Is it running, and do host and port in DATABASE_URL name it?";
    case "28P01":
    case "28000":
      return "Check user and password in DATABASE_URL, and that pg_hba.conf lets this machine in.";
    case "3D000":
      return "Create it (createdb), or mend the name in DATABASE_URL.";
    case "42501":
      return "The user in DATABASE_URL lacks the right: run tallyline migrate as the owner of the database.";
    case "53100":
      return "The disk of the database is full: make room and start again; nothing acknowledged was lost.";
    case "53300":
      return "It has no connection left: raise max_connections there or lower TALLYLINE_CONNECTIONS here.";
    case "57P03":
      return "It is still starting or shutting down: try again in a moment.";
    case "ENOSPC":
      return "Make room on the disk and start again.";
    default:
      return code.startsWith("08") ? "The connection broke: try again." : undefined;
  }
}
