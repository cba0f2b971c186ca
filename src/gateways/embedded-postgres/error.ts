/** The embedded server cannot run here. The message says what, where, and how to mend it. */
export class EmbeddedPostgresError extends Error {
  override readonly name = "EmbeddedPostgresError";
}

/** Turn what the server wrote before it gave up into a sentence with a way out. */
export function diagnose(log: string, data: string): EmbeddedPostgresError {
  const cause = sentenceFor(log, data);
  const lines = log.trim().split("\n").slice(-12).join("\n");
  return new EmbeddedPostgresError(
    cause ?? `PostgreSQL did not start in ${data}. It said:\n${lines || "(nothing)"}`,
  );
}

function sentenceFor(log: string, data: string): string | undefined {
  if (/No space left on device|could not extend file/i.test(log)) {
    return `the disk that holds ${data} is full. Make room and start again; nothing acknowledged was lost.`;
  }
  const version = /initialized by PostgreSQL version (\d+)/.exec(log)?.[1];
  if (version) return otherVersion(data, version);
  if (/has wrong ownership|must be started by the user that owns/i.test(log)) {
    return `${data} belongs to another user of this machine. Start tallyline as that user, or choose another --data-dir.`;
  }
  if (/lock file "[^"]*postmaster.pid" already exists/i.test(log)) {
    return (
      `another PostgreSQL is using ${data} (see postmaster.pid there), and it does not answer here: perhaps it runs in ` +
      "another container with the same volume. Stop that one, or choose another --data-dir."
    );
  }
  const nameless = /could not look up effective user ID (\d+)/.exec(log)?.[1];
  if (nameless) {
    return `PostgreSQL refuses to create ${data}: user ${nameless} has no name on this machine. Add it to /etc/passwd, or run as a user that is there.`;
  }
  if (/Permission denied/i.test(log)) {
    const line = log.split("\n").find((text) => /Permission denied/i.test(text));
    return `PostgreSQL may not use its folder ${data}: ${line?.trim()}. Give the folder back to the user it belongs to, or choose another --data-dir.`;
  }
  return undefined;
}

export function otherVersion(data: string, version: string, ours?: string): string {
  return (
    `${data} was made by PostgreSQL ${version}${ours ? `, and this is PostgreSQL ${ours}` : ""}. ` +
    `Either point TALLYLINE_POSTGRES_BIN to the programs of PostgreSQL ${version} (on Debian /usr/lib/postgresql/${version}/bin), ` +
    "or make a backup with the tallyline that made it and restore it into a new --data-dir."
  );
}
