/** How many requests a key may make: `quota` in any `windowSeconds`, refilled evenly. */
export type RatePolicy = { readonly quota: number; readonly windowSeconds: number };

/** `hot` holds for what machines call per unit of work: events, entitlement checks, reservations. */
export type RateClass = "standard" | "hot";
export type RatePolicies = Readonly<Record<RateClass, RatePolicy>>;

export const defaultRatePolicies: RatePolicies = {
  standard: { quota: 10_000, windowSeconds: 10 },
  hot: { quota: 500_000, windowSeconds: 10 },
};

type Bucket = { tokens: number; atMs: number };

export type RateVerdict = {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Seconds until the bucket is full again, or, when refused, until one request fits. */
  readonly resetSeconds: number;
  readonly headers: Record<string, string>;
};

const bucketsMax = 50_000;

/** Token buckets per key and class, in this process: with n processes a key gets up to n times the quota. */
export function rateLimiter(policies: RatePolicies): {
  take(key: string, rateClass: RateClass): RateVerdict;
} {
  const buckets: Record<RateClass, Map<string, Bucket>> = { standard: new Map(), hot: new Map() };
  return {
    take(key, rateClass) {
      const { quota, windowSeconds } = policies[rateClass];
      const perMs = quota / (windowSeconds * 1000);
      const now = performance.now();
      const map = buckets[rateClass];
      let bucket = map.get(key);
      if (!bucket) {
        if (map.size >= bucketsMax) map.clear();
        bucket = { tokens: quota, atMs: now };
        map.set(key, bucket);
      }
      bucket.tokens = Math.min(quota, bucket.tokens + (now - bucket.atMs) * perMs);
      bucket.atMs = now;
      const allowed = bucket.tokens >= 1;
      if (allowed) bucket.tokens -= 1;
      const remaining = Math.floor(bucket.tokens);
      const missing = allowed ? quota - bucket.tokens : 1 - bucket.tokens;
      const resetSeconds = Math.ceil(missing / perMs / 1000);
      return {
        allowed,
        remaining,
        resetSeconds,
        // draft-ietf-httpapi-ratelimit-headers-10
        headers: {
          "ratelimit-policy": `"${rateClass}";q=${quota};w=${windowSeconds}`,
          ratelimit: `"${rateClass}";r=${remaining};t=${resetSeconds}`,
        },
      };
    },
  };
}
