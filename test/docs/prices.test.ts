import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { main } from "../../src/main/cli.ts";

// The page is run as it is printed: a command after "$ ", then what it says.
const root = fileURLToPath(new URL("../../", import.meta.url));
const page = readFileSync(`${root}docs/prices.md`, "utf8");

const sessions = [...page.matchAll(/```console\n([\s\S]*?)```/g)]
  .flatMap((block) => (block[1] ?? "").split(/^\$ tallyline /m).slice(1))
  .map((session) => {
    const [command = "", ...said] = session.trimEnd().split("\n");
    return { command, said: said.join("\n") };
  });

async function run(command: string) {
  let said = "";
  const write = (text: string) => {
    said += text;
  };
  const args = command
    .split(" ")
    .map((arg) => (arg.startsWith("examples/") ? `${root}${arg}` : arg));
  const code = await main(args, {}, { out: write, err: write });
  return { code, said: said.trimEnd() };
}

describe("docs/prices.md", () => {
  test("shows every model", () => {
    expect(sessions.length).toBeGreaterThan(15);
  });

  test("every example is used on the page", () => {
    const files = readdirSync(`${root}examples/prices`).map((name) => `examples/prices/${name}`);
    expect(files.filter((name) => !page.includes(name))).toEqual([]);
  });

  test.each(sessions)("$command", async ({ command, said }) => {
    expect(await run(command)).toEqual({ code: 0, said });
  });
});
