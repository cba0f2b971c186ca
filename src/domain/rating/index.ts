export {
  type DayTerms,
  type RatedWindow,
  rateWindow,
  sumWindows,
  termsAt,
  type WindowTerms,
} from "./commitment.ts";
export { type Booking, bookingOf, nothingBooked, rateDelta, segmentDelta } from "./delta.ts";
export { explain, explainStep } from "./explain.ts";
export { type FocusContext, type FocusRow, focusRow } from "./focus.ts";
export { rateSteps, type WeightedStep } from "./graduated.ts";
export { charged, convert, reductionsOf, type Share } from "./modifiers.ts";
export { packagesOf } from "./package.ts";
export {
  type PriceSlice,
  type Rated,
  type RatingOptions,
  rate,
  ratePeriod,
  type Usage,
  withoutCovered,
} from "./rate.ts";
export {
  type Because,
  isGross,
  type Segment,
  type Step,
  type TierBounds,
} from "./segments.ts";
export {
  type RatingStatement,
  type SegmentStatement,
  statementOf,
} from "./statement.ts";
export { UnratableError } from "./unratable.ts";
export { readUsage, type UsageReading } from "./usage-reader.ts";
