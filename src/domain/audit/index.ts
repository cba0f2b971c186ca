export {
  type Actor,
  type Author,
  type Change,
  type ChainVerdict,
  chainStart,
  chainVerifier,
  type Entry,
  linkOf,
  system,
} from "./entry.ts";
