export * from "./check.ts";
export * from "./quota.ts";
export * from "./reservation.ts";
