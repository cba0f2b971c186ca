import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { readImportMap } from "../../src/domain/imports/index.ts";
import { main } from "../../src/main/cli.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (name: string) => readFileSync(`${root}${name}`, "utf8");
const readme = read("README.md");

describe("README.md", () => {
  test("has exactly two set-up commands, and package.json has their scripts", () => {
    const commands = [...readme.matchAll(/^\$ (npm .*)$/gm)].map((match) => match[1]);
    expect(commands).toEqual(["npm ci && npm start", "npm ci && npm test"]);
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    expect([scripts["start"], scripts["test"]].every(Boolean)).toBe(true);
  });

  test("every link leads somewhere", () => {
    const pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
    const broken = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
        .map((match) => match[1] as string)
        .filter((link) => !existsSync(`${root}${link}`)),
    );
    expect(broken).toEqual([]);
  });

  const sessions = [...readme.matchAll(/```console\n\$ tallyline ([^\n]*)\n([\s\S]*?)```/g)];
  test.each(sessions.map((match) => [match[1] as string, (match[2] as string).trimEnd()]))(
    "tallyline %s",
    async (command, expected) => {
      let said = "";
      const write = (text: string) => {
        said += text;
      };
      const args = command
        .split(" ")
        .map((arg) => (arg.startsWith("examples/") ? `${root}${arg}` : arg));
      expect(await main(args, {}, { out: write, err: write })).toBe(0);
      expect(said.trimEnd()).toBe(expected);
    },
  );
});

describe("docs/import.md", () => {
  test("its map is one that the importer takes", () => {
    const block = /```yaml\n([\s\S]*?)```/.exec(read("docs/import.md"))?.[1] ?? "";
    expect(readImportMap(parse(block))).toMatchObject({
      kind: "map",
      map: { time: { form: "local" } },
    });
  });
});
