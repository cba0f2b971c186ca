import type { AddCommand } from "../command.ts";
import { exitCodes } from "../command.ts";
import { type InstallationProof, verifyInstallation } from "../../flows/verify-installation.ts";
import { withEnv } from "../wire.ts";
import { organizationOf } from "./invoice.ts";

export const addVerify: AddCommand = (program, run) => {
  program
    .command("verify")
    .description(
      "prove that rollups equal raw events, chains are whole, and every invoice re-derives",
    )
    .option("--organization <id or slug>", "only this organization's accounts")
    .action(
      run(async ({ config, note, print }, options: { organization?: string }) =>
        withEnv({ config, note }, async (env) => {
          const orgId = options.organization && (await organizationOf(env, options.organization));
          const proof = await verifyInstallation(env, orgId || undefined);
          print({ is_match: proof.faults.length === 0, ...proof }, report(proof));
          return proof.faults.length === 0 ? exitCodes.done : exitCodes.mismatch;
        }),
      ),
    );
};

function report({ accountCount, invoiceCount, faults }: InstallationProof): string {
  const rows = faults.map(
    (fault) =>
      `DIFFERS  ${fault.account}  ${fault.about}  ${fault.where}\n           stored      ${fault.stored}\n           recomputed  ${fault.recomputed}\n`,
  );
  const verdict =
    faults.length === 0 ? "everything re-derives" : `${faults.length} things do not re-derive`;
  return `${rows.join("")}${accountCount} accounts, ${invoiceCount} documents: ${verdict}`;
}
