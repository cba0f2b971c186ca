import type { PackageRounding } from "../catalog/index.ts";
import { type Decimal, divide, round, subtract } from "../../kit/decimal.ts";
import { counted, type Draft } from "./segments.ts";
import { along, type Span } from "./span.ts";

/** How many packages a quantity takes. */
export function packagesOf(
  quantity: Decimal,
  packageSize: Decimal,
  rounding: PackageRounding = "up",
): Decimal {
  const exact = divide(quantity, packageSize);
  if (rounding === "none") return exact;
  return round(exact, 0, rounding === "up" ? "ceiling" : "floor");
}

/**
 * Packages are counted on the total of the period, never on its parts: a slice pays for those that the total takes beyond
 * what earlier slices have paid, which may be none.
 */
export function ratePackage(
  price: {
    readonly packageSize: Decimal;
    readonly unitAmount: Decimal;
    readonly packageRounding: PackageRounding;
  },
  span: Span,
): Draft[] {
  const count = (quantity: Decimal) =>
    packagesOf(quantity, price.packageSize, price.packageRounding);
  return along(span.from, span.to, (from, to) => [
    counted(subtract(count(to), count(from)), price.unitAmount, subtract(to, from), {
      kind: "package",
      packageSize: price.packageSize,
      rounding: price.packageRounding,
    }),
  ]);
}
