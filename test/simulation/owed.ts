/**
 * What customers really owe, worked out without a line of the product: whole numbers only, one list of facts per account, and
 * months cut by `Intl`. Prices are in millionths of a dollar, amounts come out in cents.
 */
export type Price =
  | { readonly kind: "per_unit"; readonly micro: bigint }
  | {
      readonly kind: "graduated";
      readonly upTo: bigint;
      readonly low: bigint;
      readonly high: bigint;
    }
  | { readonly kind: "package"; readonly size: bigint; readonly micro: bigint };

export type Used = {
  readonly account: string;
  readonly sku: string;
  readonly at: number;
  readonly quantity: bigint;
  /** How much of it a batch paid for. */
  covered: bigint;
  readonly user?: string;
};

export type Stretch = {
  readonly account: string;
  readonly subscription: string;
  readonly plan: string;
  /** Cents a month. */
  readonly fee: bigint;
  readonly from: number;
  until: number;
};

export type Batch = {
  readonly account: string;
  readonly from: number;
  readonly until: number;
  /** Millionths of a dollar per unit: cheaper ones go first when they end together. */
  readonly unitCost: bigint;
  readonly no: number;
  left: bigint;
  /** What was drawn for usage of each month. */
  readonly drawn: Map<string, bigint>;
};

const second = 1_000_000;
const hour = 3600 * second;

/** The month of a moment in a place, as "2025-01". */
export function monthOf(at: number, zone: string): string {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
  }).formatToParts(new Date(Math.floor(at / 1000)));
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? "";
  return `${part("year")}-${part("month")}`;
}

export const monthAfter = (month: string): string => {
  const [year = 0, number = 0] = month.split("-").map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, "0")}`;
};

const starts = new Map<string, number>();

/** When a month begins in a place: looked for on the quarter hours around midnight UTC of its first day. */
export function startOfMonth(month: string, zone: string): number {
  const key = `${month} ${zone}`;
  const known = starts.get(key);
  if (known !== undefined) return known;
  const midnight = Date.parse(`${month}-01T00:00:00Z`) * 1000;
  for (let at = midnight - 15 * hour; at <= midnight + 15 * hour; at += hour / 4)
    if (monthOf(at, zone) === month) {
      starts.set(key, at);
      return at;
    }
  throw new Error(`${month} never begins in ${zone}`);
}

/** Half away from zero. */
function cents(micro: bigint): bigint {
  const size = micro < 0n ? -micro : micro;
  const rounded = (size + 5_000n) / 10_000n;
  return micro < 0n ? -rounded : rounded;
}

const most = (a: bigint, b: bigint) => (a > b ? a : b);
const least = (a: bigint, b: bigint) => (a < b ? a : b);

/** What a quantity from the beginning of the month costs; taken back, it is the mirror image. */
function curve(price: Price, quantity: bigint): bigint {
  if (quantity < 0n) return -curve(price, -quantity);
  switch (price.kind) {
    case "per_unit":
      return quantity * price.micro;
    case "graduated":
      return least(quantity, price.upTo) * price.low + most(quantity - price.upTo, 0n) * price.high;
    case "package":
      return ((quantity + price.size - 1n) / price.size) * price.micro;
  }
}

export class Owed {
  readonly used: Used[] = [];
  readonly stretches: Stretch[] = [];
  readonly batches: Batch[] = [];
  readonly prices = new Map<string, { readonly from: number; readonly price: Price }[]>();
  /** What was bought on the invoice, and what was credited, in cents. */
  readonly bought: { readonly account: string; readonly at: number; readonly cents: bigint }[] = [];
  readonly credits: { readonly account: string; readonly cents: bigint }[] = [];
  private batchNo = 0;

  price(sku: string, from: number, price: Price): void {
    this.prices.set(sku, [...(this.prices.get(sku) ?? []), { from, price }]);
  }

  fund(batch: Omit<Batch, "no" | "drawn">): void {
    this.batches.push({ ...batch, no: this.batchNo++, drawn: new Map() });
  }

  private inOrder(account: string): Batch[] {
    return this.batches
      .filter((one) => one.account === account)
      .toSorted(
        (a, b) =>
          a.until - b.until || Number(a.unitCost - b.unitCost) || a.from - b.from || a.no - b.no,
      );
  }

  /** How much of a use batches pay for. Late use may reach for units that lapsed, while its month is open. */
  draw(account: string, zone: string, at: number, receivedAt: number, quantity: bigint): bigint {
    const month = monthOf(at, zone);
    const isOpen = receivedAt < startOfMonth(monthAfter(month), zone) + 72 * hour;
    let wanted = quantity;
    for (const batch of this.inOrder(account)) {
      if (at < batch.from || at >= batch.until) continue;
      if (receivedAt >= batch.until && !isOpen) continue;
      const taken = least(wanted, batch.left);
      batch.left -= taken;
      batch.drawn.set(month, (batch.drawn.get(month) ?? 0n) + taken);
      wanted -= taken;
    }
    return quantity - wanted;
  }

  /** How much of what is taken back returns to batches: only what is more than the month's overage, last drawn first. */
  giveBack(account: string, zone: string, at: number, quantity: bigint): bigint {
    const month = monthOf(at, zone);
    const batches = this.inOrder(account);
    const used = this.used
      .filter(
        (one) => one.account === account && one.sku === "TEXTS" && monthOf(one.at, zone) === month,
      )
      .reduce((sum, one) => sum + one.quantity, 0n);
    const drawn = batches.reduce((sum, one) => sum + (one.drawn.get(month) ?? 0n), 0n);
    // An overage below zero is a debt of earlier corrections: units make it up before money does.
    const beyond = quantity - least(quantity, used - drawn);
    let left = beyond;
    for (const batch of batches.toReversed()) {
      const back = least(left, batch.drawn.get(month) ?? 0n);
      batch.left += back;
      batch.drawn.set(month, (batch.drawn.get(month) ?? 0n) - back);
      left -= back;
    }
    return beyond - left;
  }

  available(account: string, now: number): bigint {
    return this.inOrder(account)
      .filter((one) => one.from <= now && now < one.until)
      .reduce((sum, one) => sum + one.left, 0n);
  }

  /** Pass units on. False: there are not enough. */
  transfer(from: string, to: string, quantity: bigint, now: number): boolean {
    if (this.available(from, now) < quantity) return false;
    let wanted = quantity;
    for (const batch of this.inOrder(from)) {
      if (batch.from > now || now >= batch.until) continue;
      const part = least(wanted, batch.left);
      if (part === 0n) continue;
      batch.left -= part;
      wanted -= part;
      this.fund({
        account: to,
        from: now,
        until: batch.until,
        unitCost: batch.unitCost,
        left: part,
      });
    }
    return true;
  }

  /** Cents that an account owes for everything up to the end of a month, credits taken off. */
  total(account: string, zone: string, through: string): bigint {
    const parts = this.parts(account, zone, through);
    return [...parts.values()].reduce((sum, one) => sum + one, 0n);
  }

  parts(account: string, zone: string, through: string): Map<string, bigint> {
    const parts = new Map<string, bigint>();
    const add = (key: string, amount: bigint) => parts.set(key, (parts.get(key) ?? 0n) + amount);
    const end = startOfMonth(monthAfter(through), zone);
    const groups = new Map<string, Used[]>();
    for (const one of this.used) {
      if (one.account !== account || one.at >= end) continue;
      const key = `${one.sku} ${monthOf(one.at, zone)}`;
      groups.set(key, [...(groups.get(key) ?? []), one]);
    }
    for (const [key, uses] of groups) {
      const [sku = "", month = ""] = key.split(" ");
      add(key, cents(this.usageCost(sku, month, zone, uses)));
    }
    for (const one of this.bought)
      if (one.account === account && one.at < end)
        add(`bought ${monthOf(one.at, zone)}`, one.cents);
    for (const [key, amount] of this.fees(account, zone, end)) add(key, amount);
    for (const one of this.credits) if (one.account === account) add("credits", -one.cents);
    return parts;
  }

  private usageCost(sku: string, month: string, zone: string, uses: readonly Used[]): bigint {
    const versions = (this.prices.get(sku) ?? []).toSorted((a, b) => a.from - b.from);
    const monthEnds = startOfMonth(monthAfter(month), zone);
    if (sku === "USERS") {
      const people = new Set(uses.map((one) => one.user));
      const last = versions.filter((one) => one.from < monthEnds).at(-1);
      return last ? curve(last.price, BigInt(people.size)) : 0n;
    }
    let at = 0n;
    let micro = 0n;
    versions.forEach(({ from, price }, i) => {
      const next = versions[i + 1]?.from ?? Number.POSITIVE_INFINITY;
      const within = uses.filter((one) => one.at >= from && one.at < next);
      const to = at + within.reduce((sum, one) => sum + one.quantity - one.covered, 0n);
      micro += curve(price, to) - curve(price, at);
      at = to;
    });
    return micro;
  }

  private fees(account: string, zone: string, end: number): Map<string, bigint> {
    const numerators = new Map<string, { sum: bigint; whole: bigint }>();
    for (const one of this.stretches.filter((stretch) => stretch.account === account)) {
      for (
        let month = monthOf(one.from, zone);
        startOfMonth(month, zone) < Math.min(one.until, end);
        month = monthAfter(month)
      ) {
        const [begins, ends] = [startOfMonth(month, zone), startOfMonth(monthAfter(month), zone)];
        const seconds = (Math.min(one.until, ends) - Math.max(one.from, begins)) / second;
        const key = `${one.subscription} ${one.plan} ${month}`;
        const known = numerators.get(key) ?? { sum: 0n, whole: BigInt((ends - begins) / second) };
        known.sum += one.fee * BigInt(seconds);
        numerators.set(key, known);
      }
    }
    return new Map(
      [...numerators].map(([key, { sum, whole }]) => [key, (2n * sum + whole) / (2n * whole)]),
    );
  }
}
