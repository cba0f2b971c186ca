import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import differs from "./differs.json" with { type: "json" };

/** Cases nobody here made up (see ../shared/cases/README.md). Their expected values are never changed. */
export type Case = {
  readonly id: string;
  readonly source: string;
  readonly kind: string;
  // The shape depends on the kind; the adapter knows it.
  readonly input: never;
  readonly expected: never;
  readonly note: string;
};

const root = fileURLToPath(new URL("../../../shared/", import.meta.url));
const absent = "../shared is not beside this checkout";

/** A file of ../shared/data, undefined in a checkout that has no ../shared beside it. */
export function sharedData(path: string): string | undefined {
  const file = `${root}data/${path}`;
  return existsSync(file) ? file : undefined;
}

export const allCases: readonly Case[] = ["docs", "metering", "billing"].flatMap((name) => {
  const file = `${root}cases/${name}.json`;
  if (!existsSync(file)) return [];
  const cases = JSON.parse(readFileSync(file, "utf8")) as Case[];
  // metering.json gives no ids: count.
  return cases.map((one, index) => ({
    ...one,
    id: one.id ?? `${name}-${String(index + 1).padStart(3, "0")}`,
  }));
});

/** Case id → one sentence on why we decide otherwise. */
export const differences: Readonly<Record<string, string>> = differs;

/**
 * Run every case of a kind through an adapter, which throws (or expects) where we disagree. A case in `differs.json` must
 * really differ: one that agrees after all has to leave the list.
 *
 *     oracle<Input, Expected>("money.round", ({ input, expected }) => { expect(…).toBe(expected.rounded); });
 */
export function oracle<Input, Expected>(
  kind: string,
  check: (one: {
    readonly id: string;
    readonly input: Input;
    readonly expected: Expected;
    readonly note: string;
  }) => void | Promise<void>,
): void {
  const cases = allCases.filter((one) => one.kind === kind);
  if (allCases.length === 0) {
    test.skipIf(true)(`cases of ${kind}: ${absent}`, () => {});
    return;
  }
  describe(`cases of ${kind}`, () => {
    test("there are some", () => expect(cases.length).toBeGreaterThan(0));
    for (const one of cases) {
      const reason = differences[one.id];
      test(`${one.id}${reason ? ` differs: ${reason}` : ""}`, async () => {
        if (!reason) {
          await check(one);
          return;
        }
        const verdict = await Promise.resolve(one)
          .then(check)
          .then(
            () => "agrees",
            () => "differs",
          );
        expect(verdict, `${one.id} agrees: take it out of differs.json`).toBe("differs");
      });
    }
  });
}
