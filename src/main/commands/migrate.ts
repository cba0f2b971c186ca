import { migrate, migrationState } from "../../store/migrate.ts";
import type { AddCommand } from "../command.ts";
import { withServer } from "../wire.ts";

export const addMigrate: AddCommand = (program, run) => {
  program
    .command("migrate")
    .description("bring the database up to this version")
    .option("--check", "change nothing; exit 1 when something is pending")
    .action(
      run(async ({ config, print, note }, options: { check?: boolean }) =>
        withServer({ config, note }, async ({ ownerUrl }) => {
          if (options.check) {
            const state = await migrationState(ownerUrl);
            const names = state.pending.map((name) => `pending  ${name}\n`).join("");
            print(
              state,
              `${names}${state.applied.length} applied, ${state.pending.length} pending`,
            );
            return state.pending.length > 0 ? 1 : 0;
          }
          const ran = await migrate(ownerUrl);
          const names = ran.map((name) => `applied  ${name}\n`).join("");
          print({ applied: ran }, `${names}the database is up to date`);
          return 0;
        }),
      ),
    );
};
