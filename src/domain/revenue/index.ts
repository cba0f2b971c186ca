export * from "./accrue.ts";
export * from "./deferral.ts";
export * from "./earn.ts";
export * from "./lots.ts";
export * from "./policy.ts";
export * from "./post-document.ts";
export * from "./post-movements.ts";
