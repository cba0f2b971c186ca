import { main } from "../../src/main/cli.ts";
import type { Environment } from "../../src/main/config.ts";

export type Ran = { readonly code: number; readonly out: string; readonly err: string };

/** Run one command line in this process, with its own environment. */
export async function tallyline(
  args: readonly string[],
  environment: Environment = {},
): Promise<Ran> {
  const written = { out: "", err: "" };
  const code = await main(args, environment, {
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
  });
  return { code, ...written };
}
