export * from "./balance.ts";
export * from "./chart.ts";
export * from "./export.ts";
export * from "./transaction.ts";
