import type { AddCommand } from "../command.ts";
import { version } from "../version.ts";

export const addVersion: AddCommand = (program, run) => {
  program
    .command("version")
    .description("print the version of tallyline and of Node.js")
    .action(
      run(async ({ print }) => {
        const node = process.versions.node;
        print({ version, node }, `tallyline ${version} (Node.js ${node})`);
        return undefined;
      }),
    );
};
