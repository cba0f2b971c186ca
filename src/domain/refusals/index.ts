export { type RefusalCode, refusals } from "./catalogue.ts";
export { type Fault, Problem } from "./problem.ts";
