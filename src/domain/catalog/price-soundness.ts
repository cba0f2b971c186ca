import type { Currency } from "../../kit/currency.ts";
import {
  compare,
  type Decimal,
  decimal,
  decimalOf,
  formatDecimal,
  zero,
} from "../../kit/decimal.ts";
import type { Fault } from "../refusals/index.ts";
import type { MatrixCell, Price } from "./price.ts";

type Dimensions = readonly { readonly key: string; readonly values?: readonly string[] }[];

/**
 * What would make a well-formed price bill twice, never, or by accident: holes and overlaps between tiers, no open top,
 * cells that compete for the same usage, limits that contradict each other. Nothing when the price is sound.
 */
export function soundnessOf(
  price: Price,
  starts: readonly (string | undefined)[],
  around: { readonly currency?: Currency; readonly dimensions?: Dimensions },
): Fault[] {
  return [
    ...("tiers" in price ? tierFaults(price.tiers, starts) : []),
    ...(price.model === "matrix" ? matrixFaults(price) : []),
    ...(price.model === "percentage" ? percentageFaults(price) : []),
    ...endlessFaults(price),
    ...limitFaults(price),
    ...dimensionFaults(price, around.dimensions),
  ];
}

const number = formatDecimal;

function tierFaults(
  tiers: readonly { readonly upTo: Decimal | null }[],
  starts: readonly (string | undefined)[],
): Fault[] {
  if (tiers.length === 0) return [{ pointer: "/tiers", detail: "there must be at least one tier" }];
  const faults: Fault[] = [];
  let lower: Decimal | null = zero;
  for (const [index, { upTo }] of tiers.entries()) {
    const pointer = `/tiers/${index}`;
    const name = `tier ${index + 1}`;
    if (lower === null) {
      faults.push({
        pointer,
        detail: `${name} comes after tier ${index}, which is open at the top: only the last tier may be`,
      });
      break;
    }
    const start = starts[index];
    if (start !== undefined && compare(decimal(start), lower) !== 0)
      faults.push({ pointer: `${pointer}/from`, detail: startFault(index, decimal(start), lower) });
    if (upTo !== null && compare(upTo, lower) <= 0) {
      const below =
        index === 0 ? "tiers begin at 0" : `tier ${index} already ends at ${number(lower)}`;
      faults.push({
        pointer: `${pointer}/up_to`,
        detail: `${name} ends at ${number(upTo)}, but ${below}: bounds must rise from tier to tier`,
      });
    }
    lower = upTo;
  }
  const top = tiers.at(-1)?.upTo;
  if (top)
    faults.push({
      pointer: `/tiers/${tiers.length - 1}/up_to`,
      detail: `tier ${tiers.length} is the last and ends at ${number(top)}: usage above would never be billed; make it open with up_to: null`,
    });
  return faults;
}

function startFault(index: number, start: Decimal, lower: Decimal): string {
  const where = index === 0 ? "tiers begin at 0" : `tier ${index} ends at ${number(lower)}`;
  const name = `tier ${index + 1} starts at ${number(start)}, but ${where}`;
  return compare(start, lower) > 0
    ? `${name}: the usage between would never be billed; a tier starts exactly where the one below ends`
    : `${name}: the usage between would be billed twice; a tier starts exactly where the one below ends`;
}

function matrixFaults(price: Price & { model: "matrix" }): Fault[] {
  const faults: Fault[] = [];
  if (price.dimensions.length === 0)
    faults.push({ pointer: "/dimensions", detail: "a matrix needs at least one dimension" });
  for (const [index, cell] of price.cells.entries()) {
    for (const key of Object.keys(cell.match)) {
      if (!price.dimensions.includes(key))
        faults.push({
          pointer: `/cells/${index}/match/${key}`,
          detail: `cell ${index + 1} matches on "${key}", which is not one of the dimensions ${price.dimensions.join(", ")}`,
        });
    }
    if (Object.keys(cell.match).length === 0 && price.defaultUnitAmount)
      faults.push({
        pointer: `/cells/${index}/match`,
        detail: `cell ${index + 1} matches everything, and so does default_unit_amount: there may be one catch-all`,
      });
    for (const [other, earlier] of price.cells.slice(0, index).entries()) {
      const detail = competition(earlier, cell, other, index, price.cells);
      if (detail) faults.push({ pointer: `/cells/${index}/match`, detail });
    }
  }
  if (price.cells.length === 0 && !price.defaultUnitAmount)
    faults.push({
      pointer: "/cells",
      detail: "there is no cell and no default_unit_amount: nothing would ever be billed",
    });
  return faults;
}

// Two cells compete when one event can match both and neither is the more specific of the two.
function competition(
  a: MatrixCell,
  b: MatrixCell,
  first: number,
  second: number,
  all: readonly MatrixCell[],
): string | undefined {
  const [keysA, keysB] = [Object.keys(a.match), Object.keys(b.match)];
  const names = `cells ${first + 1} and ${second + 1}`;
  if (keysA.some((key) => key in b.match && a.match[key] !== b.match[key])) return undefined;
  const bHasA = keysA.every((key) => key in b.match);
  const aHasB = keysB.every((key) => key in a.match);
  if (bHasA && aHasB)
    return keysA.length === 0
      ? `${names} both match everything: there may be one catch-all`
      : `${names} match the same usage (${matchText(a.match)})`;
  if (bHasA || aHasB) return undefined;
  const both = { ...a.match, ...b.match };
  if (all.some((cell) => matchText(cell.match) === matchText(both))) return undefined;
  return `${names} match on different dimensions, and usage with ${matchText(both)} would match both: give it a cell of its own, or use the same dimensions in both`;
}

const matchText = (match: Readonly<Record<string, string>>) =>
  Object.keys(match)
    .toSorted()
    .map((key) => `${key}=${match[key]}`)
    .join(", ");

function percentageFaults(price: Price & { model: "percentage" }): Fault[] {
  const faults: Fault[] = [];
  const { perEventMinimum: least, perEventMaximum: most } = price;
  if (least && most && compare(least, most) > 0)
    faults.push({
      pointer: "/per_event_minimum",
      detail: `per_event_minimum ${number(least)} is above per_event_maximum ${number(most)}`,
    });
  const single = least !== null || most !== null || price.freeEventsCover === "whole_event";
  if (single && (price.tiers.length > 1 || price.conversion || price.groupBy.length > 0))
    faults.push({
      pointer: least || most ? "/per_event_minimum" : "/free_events_cover",
      detail:
        "rules for single events (per_event_minimum, per_event_maximum, free_events_cover) go with one rate and without conversion or group_by",
    });
  return faults;
}

// A quotient that never ends cannot be a quantity that multiplies to an exact amount.
function endlessFaults(price: Price): Fault[] {
  const faults: Fault[] = [];
  const { conversion } = price;
  if (
    conversion?.operation === "divide" &&
    conversion.rounding === "none" &&
    !ends(conversion.factor)
  )
    faults.push({
      pointer: "/conversion/rounding",
      detail: `dividing by ${number(conversion.factor)} gives digits without end: say how to round (half_away with digits up to 20, ceiling, floor)`,
    });
  if (conversion && conversion.factor.precision() > 20)
    faults.push({
      pointer: "/conversion/factor",
      detail: `${number(conversion.factor)} has more than 20 significant digits`,
    });
  if (price.model === "package" && price.packageRounding === "none" && !ends(price.packageSize))
    faults.push({
      pointer: "/package_size",
      detail: `shares of a package of ${number(price.packageSize)} have digits without end: round up or down, or choose another size`,
    });
  return faults;
}

/** Whether one divided by this number has a last digit: no prime factors but 2 and 5. */
function ends(divisor: Decimal): boolean {
  let rest = BigInt(divisor.times(decimalOf(10).pow(divisor.decimalPlaces())).toFixed());
  for (const prime of [2n, 5n]) while (rest % prime === 0n) rest /= prime;
  return rest === 1n;
}

function limitFaults(price: Price): Fault[] {
  const { minimumAmount: least, maximumAmount: most } = price;
  if (!least || !most || compare(least, most) <= 0) return [];
  return [
    {
      pointer: "/minimum_amount",
      detail: `minimum_amount ${number(least)} is above maximum_amount ${number(most)}`,
    },
  ];
}

function dimensionFaults(price: Price, known: Dimensions | undefined): Fault[] {
  if (!known) return [];
  const faults: Fault[] = [];
  const unknown = (key: string, pointer: string) => {
    if (!known.some((dimension) => dimension.key === key))
      faults.push({
        pointer,
        detail: `"${key}" is not a dimension of the meter, which has ${known.map((one) => one.key).join(", ") || "none"}`,
      });
  };
  for (const [index, key] of price.groupBy.entries()) unknown(key, `/group_by/${index}`);
  if (price.model !== "matrix") return faults;
  for (const [index, key] of price.dimensions.entries()) unknown(key, `/dimensions/${index}`);
  for (const [index, cell] of price.cells.entries()) {
    for (const [key, value] of Object.entries(cell.match)) {
      const values = known.find((dimension) => dimension.key === key)?.values;
      if (values && !values.includes(value))
        faults.push({
          pointer: `/cells/${index}/match/${key}`,
          detail: `cell ${index + 1} matches ${key}=${value}, a value the meter does not accept: it would never bill`,
        });
    }
  }
  return faults;
}
