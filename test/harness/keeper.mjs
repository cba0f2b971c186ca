// A process that keeps an embedded database, to be killed by tests. Usage: keeper.mjs FOLDER [write]. Prints one JSON line
// when the database is up; with `write`, then the number of each row as soon as its commit was acknowledged. Ends with its input.
import pg from "pg";
import { startEmbeddedPostgres } from "../../dist/gateways/embedded-postgres/index.js";

const [folder, mode] = process.argv.slice(2);
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

try {
  const server = await startEmbeddedPostgres({ folder, programs: process.env.KEEPER_PROGRAMS });
  const url = server.urlOfOwner();
  say({ url, serverPid: server.pid, adopted: server.adopted });
  process.stdin.on("end", () => {
    server.stop().then(() => process.exit(0));
  });
  process.stdin.resume();
  if (mode === "write") {
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => {});
    await client.connect();
    await client.query("create table if not exists written (n bigint primary key)");
    for (let n = 1; ; n++) {
      await client.query("insert into written values ($1)", [n]);
      say(n);
    }
  }
} catch (error) {
  say({ error: error.message, name: error.name });
  process.exitCode = 1;
}
