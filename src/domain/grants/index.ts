export * from "./draw.ts";
export * from "./grant.ts";
export * from "./order.ts";
export * from "./pool.ts";
export * from "./units.ts";
