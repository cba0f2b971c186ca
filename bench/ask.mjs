// Asks one question of many accounts, as fast as so many connections allow, for so many seconds. A process of its own;
// prints one line of JSON.
import { readFileSync } from "node:fs";
import { exchange } from "./sockets.mjs";

const { port, key, connections, seconds, address, body, accounts } = JSON.parse(process.argv[2]);
const text = JSON.stringify(body);
const requests = readFileSync(accounts, "utf8")
  .split("\n")
  .map((account) =>
    Buffer.from(
      `POST ${address.replace("{account}", account)} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    ),
  );
const until = performance.now() + seconds * 1000;
let asked = 0;
let refused = 0;
let latest = "";
const success = Buffer.from("HTTP/1.1 2");
const result = await exchange({
  port,
  connections,
  next: () => (performance.now() < until ? requests[asked++ % requests.length] : undefined),
  judge: (answer) => {
    if (answer.subarray(0, success.length).equals(success)) return;
    refused++;
    latest = answer.toString().slice(0, 600);
  },
});
process.stdout.write(`${JSON.stringify({ ...result, refused, latest })}\n`);
