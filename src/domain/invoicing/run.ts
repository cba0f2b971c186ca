import { formatInstant, type Instant, type Period } from "../../kit/time.ts";
import type { Mismatch } from "./compare.ts";
import { periodsTouching } from "./due.ts";
import type { InvoicedAccount } from "./facts.ts";
import { finalizesAt } from "./finalize.ts";

/** The five steps of a billing run, in order. */
export const runSteps = ["collect", "calculate", "verify", "issue", "settle"] as const;
export type RunStep = (typeof runSteps)[number];

/** What keeps one account period from being issued. Each names what it is about and can be overridden with a reason. */
export type Blocker = {
  readonly kind: BlockerKind;
  readonly detail: string;
};

export const blockerKinds = [
  "quarantine",
  "stale_meter",
  "contradiction",
  "mismatch",
  "failure",
] as const;
export type BlockerKind = (typeof blockerKinds)[number];

/** A person's decision to go on in spite of a blocker. */
export type Override = {
  readonly kind: BlockerKind;
  readonly reason: string;
  readonly by: string;
  readonly at: string;
};

/** What a run found out about one account period before issuing it. */
export type Findings = {
  readonly quarantined: bigint;
  /** Meters that stopped sending within the period. */
  readonly stale: readonly { readonly meterKey: string; readonly lastAt: Instant }[];
  readonly contradictions: readonly string[];
  readonly mismatches: readonly Mismatch[];
};

/** Where the account period stands after a look at it. */
export type Judgement =
  | { readonly kind: "clear" }
  | { readonly kind: "blocked"; readonly step: RunStep; readonly blockers: readonly Blocker[] };

// A document that contradicts itself has no right amount, and one that cannot be verified would not verify afterwards either:
// nobody can decide that they are right. What rollups got wrong is mended from the events instead.
const cannotOverride: ReadonlySet<BlockerKind> = new Set(["contradiction", "mismatch"]);

/** Decide whether an account period may be issued, given what was found and what people have overridden. */
export function judge(
  account: Pick<InvoicedAccount, "slug">,
  findings: Findings,
  overrides: readonly Override[],
): Judgement {
  const overridden = new Set(overrides.map((one) => one.kind));
  const blockers = blockersOf(account, findings).filter(
    (blocker) => cannotOverride.has(blocker.kind) || !overridden.has(blocker.kind),
  );
  const [first] = blockers;
  return first ? { kind: "blocked", step: stepOf(first.kind), blockers } : { kind: "clear" };
}

function blockersOf(account: Pick<InvoicedAccount, "slug">, findings: Findings): Blocker[] {
  const blockers: Blocker[] = [];
  if (findings.quarantined > 0n)
    blockers.push({
      kind: "quarantine",
      detail: `${findings.quarantined} events of the period are in quarantine and may belong to ${account.slug}: replay or resolve them`,
    });
  for (const { meterKey, lastAt } of findings.stale)
    blockers.push({
      kind: "stale_meter",
      detail: `meter ${meterKey} was used steadily by ${account.slug} and sent nothing from ${formatInstant(lastAt)} on: find out why, or override with the reason`,
    });
  for (const detail of findings.contradictions)
    blockers.push({ kind: "contradiction", detail: `${account.slug}: ${detail}` });
  for (const { where, stored, recomputed } of findings.mismatches)
    blockers.push({
      kind: "mismatch",
      detail: `account ${account.slug}, ${where}: the rollups give ${stored}, the raw events ${recomputed}; an override mends the rollups`,
    });
  return blockers;
}

/** The step that a kind of blocker holds up. */
function stepOf(kind: BlockerKind): RunStep {
  switch (kind) {
    case "quarantine":
    case "stale_meter":
      return "collect";
    case "contradiction":
      return "calculate";
    case "mismatch":
      return "verify";
    case "failure":
      return "calculate";
  }
}

/** The periods of an account that are over, final, and without an invoice, from its first usage on. Oldest first. */
export function duePeriods(
  account: InvoicedAccount,
  since: Instant,
  invoicedStarts: ReadonlySet<Instant>,
  asOf: Instant,
): Period[] {
  if (since >= asOf) return [];
  return periodsTouching(account.calendar, { startsAt: since, endsAt: asOf }).filter(
    (period) => finalizesAt(account, period) <= asOf && !invoicedStarts.has(period.startsAt),
  );
}

export type RunStatus = "collecting" | "running" | "blocked" | "closed";

/** How a run stands, from how its items stand. */
export function statusOf(run: {
  isCollected: boolean;
  waiting: number;
  blocked: number;
}): RunStatus {
  if (!run.isCollected) return "collecting";
  if (run.waiting > 0) return "running";
  return run.blocked > 0 ? "blocked" : "closed";
}

/** How many account periods have passed a step, stand blocked at it, or wait for it. */
export type StepCount = {
  readonly step: RunStep;
  readonly passed: number;
  readonly blocked: number;
  readonly waiting: number;
};

/** The five steps with their counts: what was issued, or found to owe nothing, has passed all of them. */
export function stepCounts(
  counts: readonly { readonly status: string; readonly step: RunStep; readonly count: number }[],
): StepCount[] {
  const place = (step: RunStep) => runSteps.indexOf(step);
  const sum = (holds: (one: (typeof counts)[number]) => boolean) =>
    counts.filter(holds).reduce((total, { count }) => total + count, 0);
  const isDone = (status: string) => status === "issued" || status === "nothing";
  return runSteps.map((step) => ({
    step,
    passed: sum((one) => isDone(one.status) || place(one.step) > place(step)),
    blocked: sum((one) => one.status === "blocked" && one.step === step),
    waiting: sum((one) => one.status === "waiting" && one.step === step),
  }));
}
