import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import {
  aggregations,
  filterOps,
  meterStatuses,
  readMeter,
} from "../../src/domain/catalog/index.ts";
import { windowUnits } from "../../src/domain/usage/index.ts";

const page = readFileSync(new URL("../../docs/meters.md", import.meta.url), "utf8");
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] as string);

describe("docs/meters.md", () => {
  test.each(blocks)("this meter is sound:\n%s", (block) => {
    expect(readMeter(parse(block)).faults).toBeUndefined();
  });

  test("every aggregation, filter, window and status is named", () => {
    expect(blocks.length).toBeGreaterThan(2);
    const names = [...aggregations, ...filterOps, ...windowUnits, ...meterStatuses];
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});
