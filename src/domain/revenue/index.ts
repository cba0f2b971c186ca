export * from "./deferral.ts";
export * from "./lots.ts";
export * from "./post-movements.ts";
