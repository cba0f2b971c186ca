export { leaseMicros, type NextAttempt, nextAttempt } from "./retry.ts";
