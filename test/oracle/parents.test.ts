import { expect } from "vitest";
import { aFamily, danish } from "../samples/families.ts";
import { oracle } from "./cases.ts";

oracle<{ children: string[] }, { parent_total: string }>(
  "parent.consolidate",
  ({ input, expected }) => {
    const whole = aFamily(
      [],
      input.children.map((amount) => [amount]),
      danish(),
    );
    expect(whole.content.total).toBe(expected.parent_total);
    expect(whole.content.sections?.map((one) => one.total)).toEqual(input.children);
  },
);

const sectionOf = (...amounts: string[]) =>
  aFamily([], [amounts], danish()).content.sections?.[0]?.total;

oracle<{ child: string; credit: string }, { parent_item: string }>(
  "parent.child_credit",
  ({ input, expected }) => expect(sectionOf(input.child, input.credit)).toBe(expected.parent_item),
);

oracle<{ child: string; repair: string }, { parent_item: string }>(
  "parent.child_cancel_before_commit",
  ({ input, expected }) => expect(sectionOf(input.child, input.repair)).toBe(expected.parent_item),
);
