export {
  type Conversion,
  convert,
  type FxRate,
  type RateFound,
  rateOn,
  type SumIn,
  sumIn,
} from "./convert.ts";
