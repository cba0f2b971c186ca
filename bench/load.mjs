// The load generator, a process of its own: keep-alive sockets, prepared bodies, one request at a time on each connection.
// Only to this machine, a bounded number of events, then it stops. Prints one line of JSON.
import { connect } from "node:net";
import { readFileSync } from "node:fs";

const {
  port,
  key,
  connections,
  batch,
  events,
  subjects,
  run,
  type: eventType,
} = JSON.parse(process.argv[2]);
const names = readFileSync(subjects, "utf8").split("\n");

// Accounts are used as accounts are: the n-th most active one 1/n as much as the first.
const cumulated = [];
let sum = 0;
for (let rank = 1; rank <= names.length; rank++) cumulated.push((sum += 1 / rank));
let state = 42 + run;
function fraction() {
  state = (state + 0x9e3779b9) >>> 0;
  let z = state;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return ((z ^ (z >>> 15)) >>> 0) / 4294967296;
}
function anyName() {
  const wanted = fraction() * sum;
  let low = 0;
  let high = names.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cumulated[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return names[low];
}

const digits = 12;
const idStart = `${Array.from({ length: 6 }, () =>
  Math.floor(fraction() * 65536)
    .toString(16)
    .padStart(4, "0"),
).join("")}-`;
const time = new Date().toISOString();
const models = ["small", "medium", "large"];

/** A request with holes where the ids go. */
function template() {
  const parts = [];
  for (let index = 0; index < batch; index++) {
    const quantity = 1 + Math.floor(fraction() * 2000);
    const model = models[Math.floor(fraction() * 3)];
    parts.push(
      `{"specversion":"1.0","id":"${idStart}${"0".repeat(digits)}","source":"bench/load","type":"${eventType}","subject":"${anyName()}","time":"${time}","data":{"tokens":"${quantity}","model":"${model}"}}`,
    );
  }
  const body = batch === 1 ? parts[0] : `[${parts.join(",")}]`;
  const type = batch === 1 ? "application/cloudevents+json" : "application/cloudevents-batch+json";
  const head = `POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${key}\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
  const bytes = Buffer.from(head + body);
  const holes = [];
  const mark = Buffer.from(idStart);
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1))
    holes.push(at + mark.length);
  return { bytes, holes };
}
const templates = Array.from(
  { length: Math.max(64, Math.min(2_000, Math.ceil(20_000 / batch))) },
  template,
);

let counter = 0;
let sent = 0;
let accepted = 0;
let refused = 0;
let latest = "";
const latencies = new Float64Array(Math.ceil(events / batch) + connections);
let answers = 0;

function nextRequest() {
  const { bytes, holes } = templates[(sent / batch) % templates.length];
  for (const hole of holes) {
    let rest = counter++;
    for (let at = hole + digits - 1; at >= hole; at--) {
      bytes[at] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
  sent += batch;
  return Buffer.from(bytes);
}

const whole = Buffer.from(`{"accepted":${batch},`);
const started = process.hrtime.bigint();
await Promise.all(
  Array.from(
    { length: connections },
    () =>
      new Promise((done, failed) => {
        const socket = connect(port, "127.0.0.1");
        socket.setNoDelay(true);
        let pending = Buffer.alloc(0);
        let at = 0;
        const send = () => {
          if (sent >= events) {
            socket.end();
            done();
            return;
          }
          at = performance.now();
          socket.write(nextRequest());
        };
        socket.on("connect", send);
        socket.on("error", failed);
        socket.on("data", (chunk) => {
          pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
          const end = pending.indexOf("\r\n\r\n");
          if (end < 0) return;
          const head = pending.latin1Slice(0, end).toLowerCase();
          const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? Number.NaN);
          let complete = pending.length >= end + 4 + length;
          if (Number.isNaN(length))
            complete = pending.subarray(-5).equals(Buffer.from("0\r\n\r\n"));
          if (!complete) return;
          latencies[answers++] = performance.now() - at;
          if (pending.indexOf(whole, end) >= 0) accepted += batch;
          else {
            refused++;
            latest = pending.toString().slice(0, 600);
          }
          pending = Buffer.alloc(0);
          send();
        });
      }),
  ),
);
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
const sorted = latencies.subarray(0, answers).toSorted();
const at = (share) => sorted[Math.min(answers - 1, Math.floor(share * answers))];
const cpu = process.cpuUsage();
process.stdout.write(
  `${JSON.stringify({ seconds, accepted, refused, latest, p50: at(0.5), p99: at(0.99), cpuSeconds: (cpu.user + cpu.system) / 1e6 })}\n`,
);
