// The raw limit of HTTP on this machine: a server that takes a request whole and answers the same bytes to everybody.
import { createServer } from "node:http";

const { status, headers, body } = JSON.parse(process.argv[2]);
const server = createServer((request, response) => {
  request.on("data", () => {});
  request.on("end", () => {
    response.writeHead(status, headers);
    response.end(body);
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
