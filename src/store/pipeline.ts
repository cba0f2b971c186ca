import type pg from "pg";

/** One statement of a pipeline. With `copy`, the text is a COPY FROM STDIN and these are its bytes. */
export type PipelineStatement = {
  /** Prepared once per connection under this name. */
  readonly name: string;
  readonly text: string;
  readonly values?: readonly (string | Buffer | null)[];
  readonly copy?: Buffer;
};

/** The rows of one statement, every value as the text that PostgreSQL wrote. */
export type TextRows = (string | null)[][];

/** What is prepared on a connection. After an error that is not known, and everything is dropped before it is used again. */
type Prepared = { readonly names: Set<string>; isUnknown: boolean };
const prepared = new WeakMap<pg.ClientBase, Prepared>();

/**
 * Send statements all at once and wait once. They are one transaction, which has been committed when this resolves; when
 * one fails, all are undone and its error is thrown. Inside a `begin` of one's own they are a part of that transaction.
 *
 * The extended query protocol gives this: everything up to one Sync message is executed as a unit, and COPY data may
 * follow its statement without waiting. With `unnamed` nothing is prepared, as transaction poolers want it.
 */
export function runPipeline(
  client: pg.ClientBase,
  statements: readonly PipelineStatement[],
  unnamed = false,
): Promise<TextRows[]> {
  const kept = prepared.get(client) ?? { names: new Set<string>(), isUnknown: false };
  prepared.set(client, kept);
  return new Promise((resolve, reject) => {
    const work = new Pipeline(statements, unnamed ? undefined : kept, resolve, reject);
    client.query(work as unknown as pg.Submittable);
  });
}

type Wire = {
  readonly stream: {
    cork(): void;
    uncork(): void;
    write(bytes: Buffer): boolean;
  };
  parse(message: { name: string; text: string }): void;
  bind(message: { statement: string; values: readonly (string | Buffer | null)[] }): void;
  execute(message: object): void;
  sync(): void;
};

const copyDone = Buffer.from([0x63, 0, 0, 0, 4]);

class Pipeline {
  readonly #statements: readonly PipelineStatement[];
  readonly #prepared: Prepared | undefined;
  readonly #resolve: (results: TextRows[]) => void;
  readonly #reject: (error: Error) => void;
  readonly #results: TextRows[] = [];
  #rows: TextRows = [];
  #error: Error | undefined;

  constructor(
    statements: readonly PipelineStatement[],
    prepared: Prepared | undefined,
    resolve: (results: TextRows[]) => void,
    reject: (error: Error) => void,
  ) {
    this.#statements = statements;
    this.#prepared = prepared;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: Wire): void {
    const { stream } = connection;
    const kept = this.#prepared;
    stream.cork();
    try {
      if (kept?.isUnknown) {
        connection.parse({ name: "", text: "deallocate all" });
        connection.bind({ statement: "", values: [] });
        connection.execute({});
      }
      for (const { name, text, values, copy } of this.#statements) {
        const statement = kept ? name : "";
        if (!kept?.names.has(name)) connection.parse({ name: statement, text });
        connection.bind({ statement, values: values ?? [] });
        connection.execute({});
        if (copy) {
          stream.write(copyHeader(copy.length));
          stream.write(copy);
          stream.write(copyDone);
        }
      }
      connection.sync();
    } finally {
      stream.uncork();
    }
  }

  handleRowDescription(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(): void {}
  handleCopyData(): void {}
  handleDataRow(message: { fields: (string | null)[] }): void {
    this.#rows.push(message.fields);
  }
  handleCommandComplete(): void {
    this.#results.push(this.#rows);
    this.#rows = [];
  }

  handleError(error: Error): void {
    if (this.#prepared) {
      this.#prepared.names.clear();
      this.#prepared.isUnknown = true;
    }
    this.#error = error;
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    if (this.#error) return;
    if (this.#prepared?.isUnknown) {
      this.#results.shift();
      this.#prepared.isUnknown = false;
    }
    for (const { name } of this.#statements) this.#prepared?.names.add(name);
    this.#resolve(this.#results);
  }
}

function copyHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(5);
  header[0] = 0x64;
  header.writeUInt32BE(length + 4, 1);
  return header;
}
