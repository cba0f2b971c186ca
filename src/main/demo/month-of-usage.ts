import type { UsageEvent } from "../../domain/usage/index.ts";
import { seededRandom } from "../../kit/random.ts";
import { day, hour, type Instant, minute, type Period, second } from "../../kit/time.ts";

/** Totals of the demo's month, so that its invoice is the one that the documentation shows, in every month of every year. */
const demoMonth = {
  sms: 1250,
  tokens: 12_500,
  jobs: 13,
  requests: 1_250_000,
  users: 42,
} as const;

const boards = ["indeed", "monster", "ziprecruiter"] as const;
const seed = 20_250_101;

/**
 * A month in the life of a small recruiting company: messages by day, requests around the clock, people who come back. Drawn
 * from a seed; times fall inside the period given, whatever its length.
 */
export function monthOfUsage(period: Period, subject: string): UsageEvent[] {
  const random = seededRandom(seed);
  const below = (limit: number) => random.below(limit);
  const events: UsageEvent[] = [];
  const days = Math.floor((period.endsAt - period.startsAt) / day);
  const moment = (fromHour: number, hours: number): Instant =>
    (period.startsAt +
      below(days) * day +
      (fromHour + below(hours)) * hour +
      below(60) * minute +
      below(60_000_000 / 60) * 60 +
      below(59) * second) as Instant;
  const add = (type: string, time: Instant, data: Record<string, string>) => {
    events.push({
      source: "demo",
      id: `demo-${events.length + 1}`,
      type,
      subject,
      time,
      data,
      dataText: JSON.stringify(data),
      corrects: null,
    });
  };

  // Batches of 1,000 SMS, 10,000 tokens and 10 sponsorships are bought first; what goes beyond them is overage.
  for (let i = 0; i < demoMonth.sms; i++) add("sms.sent", moment(7, 13), { value: "1" });
  for (const tokens of partsOf(demoMonth.tokens, 180, below))
    add("ai.completion", moment(8, 11), { tokens: String(tokens) });
  for (let i = 0; i < demoMonth.jobs; i++)
    add("job.sponsored", moment(9, 8), { value: "1", board: boards[below(3)] as string });
  for (const requests of partsOf(demoMonth.requests, 2_400, below))
    add("api.requested", moment(0, 23), { value: String(requests) });
  for (let user = 1; user <= demoMonth.users; user++) {
    const visits = 1 + below(20);
    for (let i = 0; i < visits; i++)
      add("session.started", moment(7, 12), { user: `user-${user}` });
  }
  // Ten gigabytes from the first moment on: the level holds until somebody changes it.
  add("storage.changed", period.startsAt, { gb: "10" });
  return events.toSorted((a, b) => a.time - b.time);
}

/** A whole split into parts of random size, each at least one. */
function partsOf(whole: number, parts: number, below: (limit: number) => number): number[] {
  const cuts = Array.from({ length: parts - 1 }, () => 1 + below(whole - 1)).toSorted(
    (a, b) => a - b,
  );
  return [...cuts, whole].map((cut, i) => cut - (cuts[i - 1] ?? 0)).filter((part) => part > 0);
}
