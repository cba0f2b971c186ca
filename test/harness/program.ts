import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../bin/tallyline.js", import.meta.url));

/** `tallyline up` (or `serve`, or `work`) in a process of its own, over the test's database. */
export type Program = {
  /** Where it answers; the process id of one that only works. */
  readonly address: string;
  readonly process: ChildProcess;
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>;
};

export async function startProgram(
  databaseUrl: string,
  pepper: Uint8Array,
  port = 0,
  command: "up" | "serve" | "work" = "up",
  more: Readonly<Record<string, string>> = {},
): Promise<Program> {
  const listen = command === "work" ? [] : ["--port", String(port)];
  const child = spawn(process.execPath, [program, "--json", command, ...listen], {
    env: {
      PATH: process.env["PATH"],
      DATABASE_URL: databaseUrl,
      TALLYLINE_PEPPER: Buffer.from(pepper).toString("hex"),
      TALLYLINE_LOG_LEVEL: "error",
      ...more,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    child.once("exit", (code) =>
      reject(new Error(`tallyline ${command} ended with ${code}: ${out}`)),
    );
    child.stderr?.on("data", (text: Buffer) => (out += text.toString()));
    child.stdout?.on("data", (text: Buffer) => {
      out += text.toString();
      const found =
        command === "work"
          ? /"pid":\s*(\d+)/.exec(out)?.[1]
          : /"address":\s*"([^"]+)"/.exec(out)?.[1];
      if (found) resolve(found);
    });
  });
  return {
    address,
    process: child,
    async kill() {
      child.kill("SIGKILL");
      await gone;
    },
  };
}
