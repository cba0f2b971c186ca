export { fraction, type Rational, textOf } from "./rational.ts";
export {
  type Proof,
  type ProofOptions,
  type ProofSlice,
  type ProofUsage,
  recompute,
} from "./recompute.ts";
export { type Group, type RawEvent, type Recount, type RecountAsked, recount } from "./recount.ts";
