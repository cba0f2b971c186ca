export * from "./change.ts";
export * from "./charges.ts";
export * from "./cycle.ts";
export * from "./document.ts";
export * from "./preview.ts";
export * from "./proration.ts";
export * from "./states.ts";
export * from "./subscription.ts";
