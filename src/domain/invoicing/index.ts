export {
  type Charge,
  contradictions,
  edgesOf,
  expectedCharges,
  priceCuts,
  pricedDimensions,
  type PricedUsage,
  type Rate,
  type Segment,
} from "./charges.ts";
export { compareContents, type Mismatch } from "./compare.ts";
export { consolidate, type SectionOf, withSections } from "./consolidate.ts";
export {
  type Cited,
  differences,
  followsFromUsage,
  lineBases,
  type Existing,
  type Line,
} from "./difference.ts";
export {
  assemble,
  type ContentLine,
  type ContentMeasured,
  type ContentPeriod,
  type ContentPrice,
  type ContentSection,
  type ContentSegment,
  type Draft,
  type DraftContent,
  type DraftFacts,
  draft,
  type Elsewhere,
  isEmpty,
  type Watermark,
} from "./draft.ts";
export {
  type BillingCalendar,
  type Cycle,
  periodAt,
} from "./due.ts";
export * from "./facts.ts";
export {
  contentHash,
  finalize,
  finalizesAt,
  finalizeStatement,
  type Issued,
  type IssuedContent,
  type Notes,
  type Stage,
  stageOf,
} from "./finalize.ts";
export { type ApprovedLate, type LateRoute, lateRoute, lateRoutes, type LeaveOut } from "./late.ts";
export { isAdditive, quantityOf } from "./measure.ts";
export { type DocumentKind, type Series, seriesFor } from "./number.ts";
export { bookChain, mergeVersions } from "./offers.ts";
export { type PlanPrice, type PlanSpan, withCorrections, withPlanPrices } from "./plan-prices.ts";
export { ratePrimary } from "./rate.ts";
export {
  type Buyer,
  type ContentParties,
  type ContentTax,
  type LineTax,
  type Parties,
  partiesOf,
} from "./taxed.ts";
export {
  type Blocker,
  type BlockerKind,
  blockerKinds,
  duePeriods,
  type Findings,
  judge,
  type Judgement,
  type Override,
  type RunStatus,
  type RunStep,
  runSteps,
  statusOf,
  type StepCount,
  stepCounts,
} from "./run.ts";
