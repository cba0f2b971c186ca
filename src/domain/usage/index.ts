export * from "./aggregate.ts";
export * from "./match.ts";
export * from "./measure.ts";
export * from "./window.ts";
