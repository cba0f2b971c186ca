import type { Logger } from "pino";
import type { Caller } from "../domain/access/index.ts";
import type { Organization } from "../domain/accounts/index.ts";
import { Problem } from "../domain/refusals/index.ts";

/** What became known of a request while it was answered. */
export type Seen = {
  route?: string;
  caller?: Caller;
  organization?: Organization;
  error?: unknown;
  /** For every answer, whatever it is: limits, Allow. */
  readonly headers: Record<string, string>;
};

/** One line per request. No header, no query and no body ever gets here, so no secret does. */
export function logRequest(
  log: Logger,
  { method, path, status }: { method: string; path: string; status: number },
  id: string,
  seen: Seen,
  ms: number,
): void {
  const isFailure = status >= 500;
  if (!isFailure && !log.isLevelEnabled("info")) return;
  const line = {
    request_id: id,
    method,
    route: seen.route ?? null,
    path: path.slice(0, 300),
    status,
    ms: Math.round(ms * 100) / 100,
    key: seen.caller?.keyId ?? null,
    organization: seen.organization?.id ?? null,
    ...(seen.error instanceof Problem ? { code: seen.error.code } : {}),
  };
  if (isFailure) log.error({ ...line, err: seen.error }, "request failed");
  else log.info(line, "request");
}
