import fc from "fast-check";
import { expect, test } from "vitest";
import { currency } from "../../kit/currency.ts";
import { formatMoney, money, parseMoney } from "../../kit/money.ts";
import { creditArisen, creditTaken } from "./account-credit.ts";

const usd = currency("USD");
const dollars = (text: string) => parseMoney(text, usd);

test("what is given back on something paid is the payer's, on something open it only makes that smaller", () => {
  const arisen = (credited: string, unsettled: string) =>
    formatMoney(creditArisen(dollars(credited), dollars(unsettled)));
  expect(arisen("6.00", "-6.00")).toBe("6.00");
  expect(arisen("6.00", "-1.00")).toBe("1.00");
  expect(arisen("6.00", "9.00")).toBe("0.00");
  // An earlier note had overpaid it already: only this one's share is new.
  expect(arisen("9.00", "-15.00")).toBe("9.00");
});

test("however credits arise one after another, together they are what was settled and credited beyond the total", () => {
  const cents = fc.bigInt({ min: 0n, max: 100_000n });
  fc.assert(
    fc.property(cents, cents, fc.array(cents, { maxLength: 8 }), (total, settled, notes) => {
      const paid = settled < total ? settled : total;
      let unsettled = total - paid;
      let arisen = 0n;
      for (const note of notes) {
        unsettled -= note;
        arisen += creditArisen(money(usd, note), money(usd, unsettled)).minor;
      }
      expect(arisen).toBe(unsettled < 0n ? -unsettled : 0n);
    }),
  );
});

test("a document takes what there is and never more than it asks for", () => {
  const cents = fc.bigInt({ min: -1000n, max: 1000n });
  fc.assert(
    fc.property(cents, cents, (total, available) => {
      const taken = creditTaken(money(usd, total), money(usd, available)).minor;
      expect(taken >= 0n).toBe(true);
      expect(taken <= (total > 0n ? total : 0n) && taken <= (available > 0n ? available : 0n)).toBe(
        true,
      );
      if (total > 0n && available > 0n) expect(taken === total || taken === available).toBe(true);
    }),
  );
});
