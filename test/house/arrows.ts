import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseSync } from "oxc-parser";

export type House = {
  readonly floors: readonly (readonly string[])[];
  readonly rows: readonly (readonly string[])[];
  readonly packages: Readonly<Record<string, readonly string[]>>;
  readonly reserved: Readonly<Record<string, readonly string[]>>;
};

/** One import as written: who imports what. `to` is a path from the root, or a package name. */
export type Arrow = {
  readonly from: string;
  readonly to: string;
  readonly isPackage: boolean;
  readonly typeOnly: boolean;
};

/** Every source file below a folder, tests left out: tests may look anywhere. */
export function sourceFiles(root: string, below = "src"): string[] {
  const start = join(root, below);
  if (!existsSync(start)) return [];
  return readdirSync(start, { recursive: true, encoding: "utf8" })
    .map((name) => `${below}/${name.replaceAll("\\", "/")}`)
    .filter(
      (name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && !name.endsWith(".d.ts"),
    );
}

/** The imports and re-exports of one file, static and dynamic. */
export function arrowsOf(root: string, file: string): Arrow[] {
  const text = readFileSync(join(root, file), "utf8");
  const { module } = parseSync(file, text);
  const found: { name: string; typeOnly: boolean }[] = [];
  for (const item of module.staticImports) {
    const typeOnly = item.entries.length > 0 && item.entries.every((entry) => entry.isType);
    found.push({ name: item.moduleRequest.value, typeOnly });
  }
  for (const item of module.staticExports) {
    for (const entry of item.entries) {
      if (entry.moduleRequest)
        found.push({ name: entry.moduleRequest.value, typeOnly: entry.isType });
    }
  }
  for (const item of module.dynamicImports) {
    const literal = /^["'`]([^"'`]+)["'`]$/.exec(
      text.slice(item.moduleRequest.start, item.moduleRequest.end),
    );
    if (literal?.[1]) found.push({ name: literal[1], typeOnly: false });
  }
  return found.map(({ name, typeOnly }) =>
    name.startsWith(".")
      ? {
          from: file,
          to: relative(root, resolve(root, dirname(file), name)),
          isPackage: false,
          typeOnly,
        }
      : { from: file, to: packageName(name), isPackage: true, typeOnly },
  );
}

function packageName(specifier: string): string {
  if (specifier.startsWith("node:")) return specifier;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

const inside = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/** What is wrong with one arrow, in a sentence; undefined when it may stand. */
export function objection(house: House, arrow: Arrow): string | undefined {
  const says = (why: string) => `${arrow.from} imports ${arrow.to}: ${why}`;
  if (arrow.isPackage) {
    for (const [folder, allowed] of Object.entries(house.packages)) {
      if (inside(arrow.from, folder) && !allowed.includes(arrow.to))
        return says(`${folder} does no I/O and takes no package`);
    }
    const homes = house.reserved[arrow.to];
    if (homes && !homes.some((home) => inside(arrow.from, home)))
      return says(`${arrow.to} lives in ${homes.join(", ")} only`);
    return undefined;
  }

  const floorOf = (path: string) =>
    house.floors.findIndex((floor) => floor.some((room) => inside(path, room)));
  const roomOf = (path: string) => house.floors.flat().find((room) => inside(path, room));
  const [from, to] = [floorOf(arrow.from), floorOf(arrow.to)];
  if (from < 0 || to < 0) return says("one of them stands on no floor");
  if (to > from) return says("an arrow upward");
  if (to === from && roomOf(arrow.from) !== roomOf(arrow.to)) return says("an arrow sideways");

  const domainRoom = (path: string) => /^src\/domain\/([^/]+)\//.exec(path)?.[1];
  const [fromRoom, toRoom] = [domainRoom(arrow.from), domainRoom(arrow.to)];
  if (toRoom === undefined) return undefined;
  if (fromRoom === toRoom) return undefined;
  if (arrow.to !== `src/domain/${toRoom}/index.ts`)
    return says(`a back door: enter through src/domain/${toRoom}/index.ts`);
  if (fromRoom === undefined) return undefined;
  const rowOf = (room: string) => house.rows.findIndex((row) => row.includes(room));
  if (rowOf(toRoom) < 0) return says(`room ${toRoom} stands in no row`);
  if (rowOf(fromRoom) < 0) return says(`room ${fromRoom} stands in no row`);
  if (rowOf(toRoom) >= rowOf(fromRoom))
    return says("a domain room may only look at rows below its own");
  return undefined;
}
