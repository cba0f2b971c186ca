import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type Arrow, arrowsOf, type House, objection, sourceFiles } from "./arrows.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const fixtures = fileURLToPath(new URL("./fixtures", import.meta.url));
const house = JSON.parse(readFileSync(new URL("./house.json", import.meta.url), "utf8")) as House;

const objections = (where: string) =>
  sourceFiles(where)
    .flatMap((file) => arrowsOf(where, file))
    .map((arrow) => objection(house, arrow))
    .filter((sentence) => sentence !== undefined);

describe("the house", () => {
  test("every arrow points down, through front doors, and the domain does no I/O", () => {
    expect(sourceFiles(root).length).toBeGreaterThan(20);
    expect(objections(root)).toEqual([]);
  });

  test("every file stands on a floor", () => {
    const homeless = sourceFiles(root).filter(
      (file) => !house.floors.flat().some((room) => file.startsWith(`${room}/`)),
    );
    expect(homeless).toEqual([]);
  });

  test("files are named for what they decide, never for a drawer", () => {
    const drawers = /^(utils?|helpers?|common|service|manager|types|misc|shared)\.ts$/;
    const named = sourceFiles(root).filter(
      (file) => drawers.test(basename(file)) && file !== "src/api/contract/common.ts",
    );
    expect(named).toEqual([]);
  });

  test("no file imports itself through others at run time", () => {
    expect(cycleIn(runtimeGraph())).toBeUndefined();
  });

  test.each(["src/store/raw-events.ts", "src/store/raw-usage.ts", "src/domain/proof/index.ts"])(
    "the second path (%s) runs nothing of the first",
    (start) => {
      const graph = runtimeGraph();
      const reached = new Set([start]);
      for (const file of reached) for (const next of graph.get(file) ?? []) reached.add(next);
      const first =
        /^src\/(domain\/(usage|rating|invoicing)\/|store\/(measured-sql|usage-measure|usage-lane)\.ts)/;
      expect(reached.size).toBeGreaterThan(1);
      expect([...reached].filter((file) => first.test(file))).toEqual([]);
    },
  );

  test("nothing is left over: no unowned to-do, no skipped or focused test", () => {
    const marks = [/\bTODO\b(?!\()/, /\bFIXME\b/, /\b(?:test|it|describe)\.(?:only|skip|todo)\(/];
    const files = [...sourceFiles(root), ...sourceFiles(root, "test")].filter(
      (file) => !file.startsWith("test/house/"),
    );
    const found = files.filter((file) =>
      marks.some((mark) => mark.test(readFileSync(join(root, file), "utf8"))),
    );
    expect(found).toEqual([]);
  });
});

describe("the check itself", () => {
  test.each([
    ["upward", "an arrow upward"],
    ["sideways", "an arrow sideways"],
    ["back-door", "a back door"],
    ["row-order", "rows below its own"],
    ["domain-io", "does no I/O"],
    ["domain-package", "does no I/O and takes no package"],
    ["reserved-package", "lives in src/store only"],
  ])("finds the fault planted in fixture %s", (fixture, sentence) => {
    const found = objections(join(fixtures, fixture));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(sentence);
  });

  test("finds a circle", () => {
    expect(
      cycleIn(
        new Map([
          ["a", ["b"]],
          ["b", ["c"]],
          ["c", ["a"]],
        ]),
      ),
    ).toEqual(["a", "b", "c", "a"]);
  });

  test("lets an ordinary downward import stand", () => {
    const arrow: Arrow = {
      from: "src/flows/issue-invoice.ts",
      to: "src/domain/invoicing/index.ts",
      isPackage: false,
      typeOnly: false,
    };
    expect(objection(house, arrow)).toBeUndefined();
    expect(dirname(arrow.from)).toBe("src/flows");
  });
});

function runtimeGraph(): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const file of sourceFiles(root)) {
    const next = arrowsOf(root, file)
      .filter((arrow) => !arrow.isPackage && !arrow.typeOnly)
      .map((arrow) => arrow.to);
    graph.set(file, next);
  }
  return graph;
}

function cycleIn(graph: Map<string, string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    path.push(node);
    for (const next of graph.get(node) ?? []) {
      const found = visit(next);
      if (found) return found;
    }
    path.pop();
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const found = visit(node);
    if (found) return found;
  }
  return undefined;
}
