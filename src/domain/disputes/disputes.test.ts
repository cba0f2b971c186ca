import fc from "fast-check";
import { expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { formatMoney, money, nothing, parseMoney } from "../../kit/money.ts";
import { formatInstant, instant } from "../../kit/time.ts";
import {
  askableOf,
  decideDispute,
  decideResolution,
  deadlinesFrom,
  disputeStatuses,
  mayBecome,
  nextDeadline,
  readAttachment,
} from "./index.ts";

const usd = currency("USD");
const dollars = (text: string) => parseMoney(text, usd);

test("a dispute goes from open over review to a decision and its end, and no other way", () => {
  const moves = disputeStatuses.flatMap((from) =>
    disputeStatuses.filter((to) => mayBecome(from, to)).map((to) => `${from} > ${to}`),
  );
  expect(moves).toEqual([
    "open > under_review",
    "under_review > accepted",
    "under_review > partially_accepted",
    "under_review > rejected",
    "accepted > closed",
    "partially_accepted > closed",
    "rejected > closed",
  ]);
});

test("the provider owes a look within 3 days and a decision within 30, and is late from that very moment", () => {
  const opened = instant("2025-02-10T12:00:00Z");
  const deadlines = deadlinesFrom(opened);
  const at = (time: string) => nextDeadline("open", deadlines, instant(time));
  expect(at("2025-02-13T11:59:59Z")).toMatchObject({ what: "review", isMissed: false });
  expect(at("2025-02-13T12:00:00Z")).toMatchObject({ what: "review", isMissed: true });
  const decision = nextDeadline("under_review", deadlines, opened);
  expect(decision && formatInstant(decision.by)).toBe("2025-03-12T12:00:00.000Z");
  expect(nextDeadline("rejected", deadlines, instant("2026-01-01T00:00:00Z"))).toBeNull();
});

test("what is disputed takes its share of the tax with it, and never more than is left", () => {
  const line = { amount: dollars("15.00"), taxOnTop: dollars("2.85"), left: dollars("15.00") };
  const part = decideDispute(line, dollars("6.00"));
  expect(part.kind === "dispute" && formatMoney(part.withheld)).toBe("7.14");
  const all = decideDispute(line, null);
  expect(all.kind === "dispute" && formatMoney(all.withheld)).toBe("17.85");
  expect(decideDispute(line, dollars("15.01")).kind).toBe("too_large");
  expect(decideDispute({ ...line, left: nothing(usd) }, null).kind).toBe("nothing_left");
});

test("what may be asked for is never negative, and with nothing disputed is all that is open", () => {
  const cents = fc.bigInt({ min: 0n, max: 1_000_000n });
  fc.assert(
    fc.property(cents, cents, (open, withheld) => {
      const asked = askableOf(money(usd, open), money(usd, withheld)).minor;
      expect(asked >= 0n && asked <= open).toBe(true);
      expect(asked).toBe(open > withheld ? open - withheld : 0n);
    }),
  );
});

test("money is given back once: by a note or by corrected usage, never by both", () => {
  const dispute = { status: "under_review", amount: dollars("15.00") } as const;
  const none = nothing(usd);
  const credit = { kind: "credit", amount: dollars("6.00") } as const;
  expect(decideResolution(dispute, credit, none)).toMatchObject({
    kind: "credit",
    status: "partially_accepted",
  });
  expect(decideResolution(dispute, { kind: "credit", amount: null }, none)).toMatchObject({
    status: "accepted",
  });
  expect(decideResolution(dispute, credit, dollars("6.00")).kind).toBe("corrected_by_events");
  expect(decideResolution(dispute, { kind: "corrected" }, dollars("6.00"))).toMatchObject({
    kind: "corrected",
    status: "partially_accepted",
  });
  expect(decideResolution(dispute, { kind: "corrected" }, none).kind).toBe("no_correction");
  const tooMuch = { kind: "credit", amount: dollars("15.01") } as const;
  expect(decideResolution(dispute, tooMuch, none).kind).toBe("too_large");
  const open = { ...dispute, status: "open" } as const;
  expect(decideResolution(open, { kind: "reject" }, none).kind).toBe("not_under_review");
});

test("files are small, not empty, and really base64", () => {
  const read = (bytes: number) => readAttachment("x", Buffer.alloc(bytes, 1).toString("base64"));
  expect(read(256 * 1024)).toHaveProperty("attachment");
  expect(read(256 * 1024 + 1)).toEqual({ fault: "too_large" });
  expect(readAttachment("x", "")).toEqual({ fault: "empty" });
  expect(readAttachment("x", "aGk*")).toEqual({ fault: "not_base64" });
});
