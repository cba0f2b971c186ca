import type { Author } from "../domain/audit/index.ts";
import { address, book, move, moneyAmount } from "../domain/ledger/index.ts";
import {
  consumeLots,
  costOf,
  type LotConsumption,
  recognitionPolicyVersion,
  type SupplyLot,
} from "../domain/revenue/index.ts";
import { type Decimal, formatDecimal } from "../kit/decimal.ts";
import { formatMoney, type Money, minus, nothing } from "../kit/money.ts";
import { appendAudit, providerChain } from "../store/audit.ts";
import { appendTransactions, listLedgerBalances } from "../store/journal.ts";
import { getConsumption, insertSupplyLot, listSupplyLots } from "../store/supply-lots.ts";
import { transaction } from "../store/transaction.ts";
import type { Env } from "./env.ts";

export type NewLot = Omit<SupplyLot, "id" | "remaining"> & { readonly supplier: string };

/** Record units that the provider bought itself: stock in the books, owed to the supplier. */
export async function recordSupplyLot(env: Env, author: Author, lot: NewLot): Promise<SupplyLot> {
  const made = { ...lot, id: env.id("lot"), remaining: lot.size };
  return transaction(env.store.db, async (tx) => {
    await insertSupplyLot(tx, made, env.now());
    await appendTransactions(
      tx,
      providerChain,
      [
        book({
          id: `txn_${made.id.slice(4)}`,
          cause: `lot:${made.id}`,
          at: lot.boughtAt,
          description: `${formatDecimal(lot.size)} ${lot.family} from ${lot.supplier}`,
          policyVersion: recognitionPolicyVersion,
          reverses: null,
          postings: move(
            address("supplier", lot.supplier),
            address("stock", lot.family),
            moneyAmount(lot.cost),
          ),
        }),
      ],
      env.now(),
    );
    await appendAudit(tx, env.id, providerChain, [
      {
        at: env.now(),
        author,
        action: "lot.recorded",
        target: { kind: "lot", id: made.id },
        before: null,
        after: { pool: lot.family, size: formatDecimal(lot.size), cost: formatMoney(lot.cost) },
      },
    ]);
    return made;
  });
}

export type Stock = {
  readonly pool: string;
  readonly consumed: Decimal;
  readonly consumption: LotConsumption;
  readonly cost: Money | undefined;
};

/** What is left of the lots of a pool and what the consumption so far has cost, first in, first out. */
export async function readStock(env: Env, pool: string): Promise<Stock> {
  const consumed = await getConsumption(env.store.db, pool);
  const consumption = consumeLots(await listSupplyLots(env.store.db, pool), consumed);
  return { pool, consumed, consumption, cost: costOf(consumption) };
}

/** Post the cost of what was used since the last time: out of stock, into cost of goods sold. */
export async function postSupplyCost(env: Env): Promise<number> {
  const pools = new Set((await listSupplyLots(env.store.db)).map((lot) => lot.family));
  let posted = 0;
  for (const pool of pools) {
    const { cost, consumed } = await readStock(env, pool);
    if (!cost) continue;
    await transaction(env.store.db, async (tx) => {
      const account = address("cogs", pool);
      const balances = await listLedgerBalances(tx, { orgId: providerChain });
      const before = balances.find(
        (one) => one.account === account && one.commodity === cost.currency,
      );
      const due = minus(cost, {
        ...nothing(cost.currency),
        minor: BigInt(before?.number.toFixed() ?? "0"),
      });
      if (due.minor === 0n) return;
      posted += 1;
      await appendTransactions(
        tx,
        providerChain,
        [
          book({
            id: env.id("transaction"),
            // The same consumption is never posted twice: two runs at once collide here.
            cause: `cost:${pool}:${formatDecimal(consumed)}`,
            at: env.now(),
            description: `cost of ${pool} used`,
            policyVersion: recognitionPolicyVersion,
            reverses: null,
            postings: move(address("stock", pool), account, moneyAmount(due)),
          }),
        ],
        env.now(),
      );
    });
  }
  return posted;
}
