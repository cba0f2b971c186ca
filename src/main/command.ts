import type { Command } from "commander";
import type { Config, ConfigOverrides } from "./config.ts";

/** What scripts may rely on. */
export const exitCodes = {
  done: 0,
  /** It ran, and the answer is no: a refusal, a check that found something wrong. */
  refused: 1,
  /** Called wrongly: arguments, files or environment to be mended by the caller. */
  usage: 2,
  /** Something around us failed (database, disk, network), or we have a bug. */
  failed: 3,
  /** A recomputation gave another result: as loud as a failure, because it is one. */
  mismatch: 3,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** What a command gets to work with. */
export type Context = {
  readonly config: Config;
  /** The configuration with options of this command over it. */
  readonly reconfigure: (overrides: ConfigOverrides) => Config;
  readonly json: boolean;
  /** The result: the value with --json, the text for people otherwise. Call it once. */
  readonly print: (value: unknown, text: string) => void;
  /** What people may want to know meanwhile; on standard error, and not with --json. */
  readonly note: (text: string) => void;
};

type Action<A extends unknown[]> = (context: Context, ...args: A) => Promise<ExitCode | undefined>;
/** Turns the work of a command into an action for commander, with its context and exit code. */
export type Run = <A extends unknown[]>(work: Action<A>) => (...args: A) => Promise<void>;
/** Each file of `commands/` exports one of these; `cli.ts` lists them. */
export type AddCommand = (program: Command, run: Run) => void;
