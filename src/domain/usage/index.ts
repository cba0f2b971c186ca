export {
  indexMeters,
  isCounting,
  type Match,
  type MatchFault,
  type MatchFaultReason,
  matchEvent,
  type Measurable,
  type Measurement,
  measureEvent,
  type MeterIndex,
  readDimensions,
} from "./match.ts";
