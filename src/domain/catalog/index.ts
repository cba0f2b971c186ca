export * from "./meter.ts";
export * from "./price.ts";
