import type { z } from "@hono/zod-openapi";
import { Problem } from "../domain/refusals/index.ts";
import type { RequestFault } from "./problems.ts";

type Part = "body" | "query" | "path";
type Issue = z.core.$ZodIssue;

/** Check a part of the request; every fault is named with a JSON pointer into that part. */
export function check<T extends z.ZodType>(schema: T, value: unknown, part: Part): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => faultsOf(issue, part));
  const first = faults[0];
  const where = first?.pointer ? `${part} ${first.pointer}` : part;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : "";
  throw new Problem("request_not_valid", `${where}: ${first?.detail ?? "not valid"}${more}`, {
    faults: faults.slice(0, 100),
  });
}

function faultsOf(issue: Issue, part: Part, base: readonly PropertyKey[] = []): RequestFault[] {
  const path = [...base, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      in: part,
      pointer: pointerOf([...path, key]),
      detail: "there is no such member",
    }));
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    // Of several shapes, speak of the one that came closest.
    const closest = issue.errors.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length)[0];
    if (closest && closest.length > 0 && depth(closest) > 0)
      return closest.flatMap((inner) => faultsOf(inner, part, path));
  }
  return [{ in: part, pointer: pointerOf(path), detail: detailOf(issue) }];
}

const depth = (issues: readonly Issue[]): number =>
  Math.max(0, ...issues.map((issue) => issue.path.length));

function detailOf(issue: Issue): string {
  if (issue.code === "invalid_type" && issue.input === undefined && /undefined/.test(issue.message))
    return "is missing";
  return issue.message;
}

/** RFC 6901. */
function pointerOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("");
}
