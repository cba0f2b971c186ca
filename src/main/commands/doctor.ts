import { mkdirSync } from "node:fs";
import type { AddCommand } from "../command.ts";
import {
  databaseFailure,
  examineDatabase,
  examineDisk,
  examineNode,
  examineSecrets,
  type Finding,
} from "../diagnosis.ts";
import { withServer } from "../wire.ts";

export const addDoctor: AddCommand = (program, run) => {
  program
    .command("doctor")
    .description("look at everything this installation stands on, and say how to mend it")
    .action(
      run(async ({ config, print, note }) => {
        mkdirSync(config.dataDir, { recursive: true });
        const database = await withServer({ config, note }, (server) =>
          examineDatabase(config, server),
        ).catch((error: unknown) => [databaseFailure(error)]);
        const findings = [examineNode(), examineDisk(config), examineSecrets(config), ...database];
        const failures = findings.filter(({ verdict }) => verdict === "failure").length;
        print({ healthy: failures === 0, findings }, table(findings, failures));
        return failures === 0 ? 0 : 1;
      }),
    );
};

const marks = { ok: "ok     ", warning: "warning", failure: "FAILURE" } as const;

function table(findings: readonly Finding[], failures: number): string {
  const width = Math.max(...findings.map((finding) => finding.about.length));
  const indent = " ".repeat(width + 11);
  const lines = findings.map(
    ({ verdict, about, found, mend }) =>
      `${marks[verdict]}  ${about.padEnd(width)}  ${found}${mend ? `\n${indent}→ ${mend}` : ""}`,
  );
  const last = failures === 0 ? "all is well enough to run" : `${failures} to mend before it runs`;
  return `${lines.join("\n")}\n${last}`;
}
