import {
  type CalendarUnit,
  endOf,
  type Instant,
  minute,
  type Period,
  windowsOf,
} from "../../kit/time.ts";

export const windowUnits = ["minute", "hour", "day", "week", "month", "year"] as const;

/** The smallest stretch of time that is kept ready: `usage_rollup.bucket_at` is the start of one, in UTC. */
const quarterHour = 15 * minute;

export const startOfQuarterHour = (at: Instant): Instant =>
  (Math.floor(at / quarterHour) * quarterHour) as Instant;

/** What a series consists of: the windows of a period, or the whole period as the only one. */
export const windowsIn = (
  period: Period,
  unit: CalendarUnit | undefined,
  zone: string,
): readonly Period[] => (unit === undefined ? [period] : windowsOf(unit, period, zone));

/** At most so many windows from a moment on, and the moment where the next page starts. */
export function pageOfWindows(
  period: Period,
  unit: CalendarUnit,
  zone: string,
  countMax: number,
): { readonly windows: readonly Period[]; readonly nextStartsAt?: Instant } {
  const windows: Period[] = [];
  let at = period.startsAt;
  while (at < period.endsAt) {
    if (windows.length === countMax) return { windows, nextStartsAt: at };
    const endsAt = Math.min(endOf(unit, at, zone), period.endsAt) as Instant;
    windows.push({ startsAt: at, endsAt });
    at = endsAt;
  }
  return { windows };
}

/** How to read adjoining windows: whole quarter hours from what is kept ready, the rest from the events themselves. */
export type ReadingPlan = {
  /** Where the windows meet: n windows have n + 1 boundaries. */
  readonly boundaries: readonly Instant[];
  /** Quarter hours, by their start, of which a window holds only a part. */
  readonly brokenQuarters: readonly Instant[];
  /** The parts of the period to read event by event: the broken quarters, cut to the period. */
  readonly rawPeriods: readonly Period[];
  /** True when so many quarters are broken that reading all events of the period is less work. */
  readonly allRaw: boolean;
};

const brokenQuartersMax = 16;

/**
 * Plan the reading of windows that tile a period. Boundaries of today's zones fall on quarter hours (:00, :30, :45), so
 * only odd ends are read from events; windows of a minute, and zones of long ago, are read from events altogether.
 */
export function planReading(windows: readonly Period[]): ReadingPlan {
  const first = windows[0];
  const last = windows.at(-1);
  if (first === undefined || last === undefined)
    return { boundaries: [], brokenQuarters: [], rawPeriods: [], allRaw: false };
  const boundaries = [...windows.map((window) => window.startsAt), last.endsAt];
  const broken = new Set(
    boundaries.filter((at) => at % quarterHour !== 0).map((at) => startOfQuarterHour(at)),
  );
  if (broken.size > brokenQuartersMax) {
    const whole = { startsAt: first.startsAt, endsAt: last.endsAt };
    return { boundaries, brokenQuarters: [], rawPeriods: [whole], allRaw: true };
  }
  const brokenQuarters = [...broken].toSorted((a, b) => a - b);
  const rawPeriods = brokenQuarters.map((startsAt) => ({
    startsAt: Math.max(startsAt, first.startsAt) as Instant,
    endsAt: Math.min(startsAt + quarterHour, last.endsAt) as Instant,
  }));
  return { boundaries, brokenQuarters, rawPeriods, allRaw: false };
}
