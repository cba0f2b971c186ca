import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../bin/tallyline.js", import.meta.url));

/** `tallyline up` in a process of its own, over the test's database. */
export type Program = {
  readonly address: string;
  readonly process: ChildProcess;
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>;
};

export async function startProgram(
  databaseUrl: string,
  pepper: Uint8Array,
  port = 0,
): Promise<Program> {
  const child = spawn(process.execPath, [program, "--json", "up", "--port", String(port)], {
    env: {
      PATH: process.env["PATH"],
      DATABASE_URL: databaseUrl,
      TALLYLINE_PEPPER: Buffer.from(pepper).toString("hex"),
      TALLYLINE_LOG_LEVEL: "error",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`tallyline up ended with ${code}: ${out}`)));
    child.stderr?.on("data", (text: Buffer) => (out += text.toString()));
    child.stdout?.on("data", (text: Buffer) => {
      out += text.toString();
      const found = /"address":\s*"([^"]+)"/.exec(out)?.[1];
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
