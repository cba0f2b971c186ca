import { type RefusalCode, refusals } from "./catalogue.ts";

/** One thing wrong with one member of the input, named by JSON pointer ("/tiers/2/up_to"). */
export type Fault = { readonly pointer: string; readonly detail: string };

/** A refusal on its way up: thrown where a flow ends, turned into RFC 9457 JSON (or a CLI message) at the edge. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: RefusalCode;
  readonly faults: readonly Fault[];
  readonly facts: Readonly<Record<string, unknown>>;

  /** `detail` says what, where and how to mend it, with the values at hand; `facts` become members of the JSON. */
  constructor(
    code: RefusalCode,
    detail?: string,
    options: { faults?: readonly Fault[]; facts?: Record<string, unknown> } = {},
  ) {
    super(detail ?? `${refusals[code].title}. ${refusals[code].advice}`);
    this.code = code;
    this.faults = options.faults ?? [];
    this.facts = options.facts ?? {};
  }
}
