export { isHopeless, leaseMicros, type NextAttempt, nextAttempt } from "./retry.ts";
