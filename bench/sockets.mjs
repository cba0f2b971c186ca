// What a load generator is made of: keep-alive sockets on this machine, prepared bytes, one request at a time on each. It
// looks for the length of an answer and at nothing else, because it runs on the cores of the server that it measures.
import { connect } from "node:net";

const headEnd = Buffer.from("\r\n\r\n");
const chunkEnd = Buffer.from("0\r\n\r\n");
// Content-Length to some, content-length to others.
const lengthName = Buffer.from("ength: ");

/**
 * Ask on so many connections until `next` has nothing more to send, and say how long each answer took, in ms, sorted.
 * `judge` sees every answer whole and where its body starts.
 */
export async function exchange({ port, connections, next, judge }) {
  const latencies = [];
  const started = performance.now();
  await Promise.all(
    Array.from({ length: connections }, () => converse(port, next, judge, latencies)),
  );
  const seconds = (performance.now() - started) / 1000;
  const sorted = Float64Array.from(latencies).toSorted();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const cpu = process.cpuUsage();
  return {
    seconds,
    answers: sorted.length,
    p50: at(0.5),
    p99: at(0.99),
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}

function converse(port, next, judge, latencies) {
  return new Promise((done, failed) => {
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    let pending;
    let sentAt = 0;
    const send = () => {
      const bytes = next();
      if (bytes === undefined) {
        socket.end();
        done();
        return;
      }
      sentAt = performance.now();
      socket.write(bytes);
    };
    socket.on("connect", send);
    socket.on("error", failed);
    socket.on("close", () => failed(new Error("the server closed a connection")));
    socket.on("data", (chunk) => {
      pending = pending === undefined ? chunk : Buffer.concat([pending, chunk]);
      const end = pending.indexOf(headEnd);
      if (end < 0 || !isWhole(pending, end)) return;
      latencies.push(performance.now() - sentAt);
      judge(pending, end);
      pending = undefined;
      send();
    });
  });
}

function isWhole(bytes, end) {
  const at = bytes.indexOf(lengthName);
  if (at < 0 || at > end) return bytes.subarray(-chunkEnd.length).equals(chunkEnd);
  let length = 0;
  for (let index = at + lengthName.length; bytes[index] >= 48 && bytes[index] <= 57; index++)
    length = length * 10 + bytes[index] - 48;
  return bytes.length >= end + headEnd.length + length;
}
