import { OpenAPIHono, z } from "@hono/zod-openapi";
import { permissions } from "../domain/access/index.ts";
import { type RefusalCode, refusals } from "../domain/refusals/index.ts";
import { commonProblems, type Endpoint, takesIdempotencyKey } from "./endpoint.ts";
import { problemContentType, statuses } from "./problems.ts";

const ProblemView = z
  .looseObject({
    type: z.string().openapi({
      description: "Address of the description of this problem.",
      example: "/problems/account_not_found",
    }),
    title: z.string(),
    status: z.int(),
    code: z.string().openapi({
      description: "Stable name of the problem, for programs.",
      example: "account_not_found",
    }),
    detail: z.string().openapi({ description: "What, where and how to mend it, for people." }),
    request_id: z.string().openapi({ description: "The id under which our log has this request." }),
    errors: z
      .array(
        z.looseObject({
          in: z.enum(["body", "query", "path", "header"]).optional(),
          pointer: z
            .string()
            .openapi({ description: "JSON pointer to the member.", example: "/tiers/2/up_to" }),
          detail: z.string(),
        }),
      )
      .optional(),
  })
  .openapi("Problem", { description: "RFC 9457 problem details." });

const title = "Tallyline";
const description =
  "Usage-based billing where every invoice line tallies back to the events, to the last digit.\n\n" +
  "Send the API key as `Authorization: Bearer tl_…`. Amounts and quantities are exact decimal strings; moments are RFC 3339 with a zone; " +
  "periods are half-open, `[start, end)`. Every refusal is an RFC 9457 problem with a stable `code`. " +
  "Lists page with an opaque `cursor`. Any POST may carry an `Idempotency-Key`: repeated, it gets the first answer.";

/** The whole contract as OpenAPI 3.1, in the order of the endpoints. */
export function openapiDocument(endpoints: readonly Endpoint[], version: string): object {
  const app = new OpenAPIHono();
  const registry = app.openAPIRegistry;
  registry.registerComponent("securitySchemes", "key", {
    type: "http",
    scheme: "bearer",
    description: "An API key, `tl_…`.",
  });
  for (const route of endpoints) registry.registerPath(routeOf(route));
  const groups = [...new Set(endpoints.map((route) => route.group))];
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title,
      version,
      description,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    servers: [{ url: "/" }],
    tags: groups.map((name) => ({ name })),
  });
}

type RouteConfig = Parameters<OpenAPIHono["openAPIRegistry"]["registerPath"]>[0];

function routeOf(route: Endpoint): RouteConfig {
  const request: NonNullable<RouteConfig["request"]> = {};
  if (Object.keys(route.params.shape).length > 0) request.params = route.params;
  if (Object.keys(route.query.shape).length > 0) request.query = route.query;
  const headers: Record<string, z.ZodType> = {};
  if (route.organization === "caller")
    headers["Tallyline-Organization"] = z.string().optional().openapi({
      description:
        "Id or slug of the organization the request is about; needed with a key of the provider.",
    });
  if (takesIdempotencyKey(route))
    headers["Idempotency-Key"] = z.string().max(255).optional().openapi({
      description:
        "A text of your choice, new for each new request: sent again, it gets the first answer. Kept for 30 days.",
    });
  if (Object.keys(headers).length > 0) request.headers = z.object(headers);
  if (route.body) {
    request.body = { required: true, content: { "application/json": { schema: route.body } } };
  } else if (route.rawBody) {
    request.body = {
      required: true,
      content: Object.fromEntries(
        Object.entries(route.rawBody).map(([type, schema]) => [
          type,
          { schema: schema === "binary" ? { type: "string", format: "binary" } : schema },
        ]),
      ),
    };
  }
  const needs = route.permission;
  return {
    method: route.method.toLowerCase() as "get",
    path: route.path,
    operationId: route.id,
    tags: [route.group],
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    ...(needs === null
      ? { security: [] }
      : {
          security: [{ key: [] }],
          "x-permission": needs,
          "x-permission-says": needs === "any_key" ? "Any valid key" : permissions[needs].says,
        }),
    request,
    responses: responsesOf(route),
  };
}

function responsesOf(route: Endpoint): RouteConfig["responses"] {
  const responses: RouteConfig["responses"] = {};
  if (route.responseType) {
    responses[route.success] = {
      description: "Done",
      content: { [route.responseType]: { schema: { type: "string", format: "binary" } } },
    };
  } else if (route.response === null) {
    responses[route.success] = { description: "Done; no body" };
  } else {
    responses[route.success] = {
      description: route.success === 201 ? "Created" : "Done",
      content: { "application/json": { schema: route.response } },
    };
  }
  for (const [status, other] of Object.entries(route.alternatives ?? {})) {
    responses[status] = {
      description: other.description,
      content: { "application/json": { schema: other.schema } },
    };
  }
  const byStatus = new Map<number, RefusalCode[]>();
  for (const code of new Set([...(route.problems ?? []), ...commonProblems(route)])) {
    byStatus.set(statuses[code], [...(byStatus.get(statuses[code]) ?? []), code]);
  }
  for (const [status, codes] of [...byStatus].toSorted(([a], [b]) => a - b)) {
    responses[status] = {
      description: codes
        .toSorted()
        .map((code) => `\`${code}\`: ${refusals[code].title}`)
        .join(". "),
      content: { [problemContentType]: { schema: ProblemView } },
    };
  }
  return responses;
}

/** The same as it is committed and served: stable, and readable in a diff. */
export function openapiText(endpoints: readonly Endpoint[], version: string): string {
  return `${JSON.stringify(openapiDocument(endpoints, version), null, 2)}\n`;
}
