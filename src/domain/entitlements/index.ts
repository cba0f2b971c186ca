export * from "./check.ts";
export * from "./plan-rights.ts";
export * from "./quota.ts";
export * from "./reservation.ts";
