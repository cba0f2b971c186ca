import type { PaymentGateway } from "../domain/payments/index.ts";
import type { MakeId } from "../kit/ids.ts";
import type { Random } from "../kit/random.ts";
import type { Instant } from "../kit/time.ts";
import type { Store } from "../store/connect.ts";
import type { Ingest } from "./ingest-usage.ts";

/** The handful of things a flow may reach. Wired once in `main`, and by the test harness. */
export type Env = {
  readonly store: Store;
  /** The installation's time. A request about a sandbox organization carries that organization's own `now` instead. */
  readonly now: () => Instant;
  readonly id: MakeId;
  readonly random: Random;
  /** The secret under which API keys are hashed; 32 bytes or more, the same for all processes of an installation. */
  readonly pepper: Uint8Array;
  /** The running ingest pipeline; left out, one is opened when it is first needed (`ingestOf`). */
  readonly ingest?: Ingest;
  /** Where cards are charged; without one, purchases can only go onto an invoice. */
  readonly payments?: PaymentGateway | undefined;
};
