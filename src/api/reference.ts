import { readFileSync } from "node:fs";
import { type RefusalCode, refusals } from "../domain/refusals/index.ts";
import { sha256Hex } from "../kit/hash.ts";
import { statuses } from "./problems.ts";
import {
  escapeHtml,
  exampleOf,
  limitsOf,
  membersHtml,
  prose,
  type Schema,
  type Schemas,
  smallestExample,
  typeOf,
} from "./reference-schema.ts";

type Media = { readonly schema?: Schema };
type Content = Readonly<Record<string, Media>>;
type Parameter = {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: Schema;
};
type Operation = {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly [string];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: Content }>
  >;
  readonly "x-permission"?: string;
  readonly "x-permission-says"?: string;
};
type Document = {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas?: Schemas };
};
type Placed = { readonly method: string; readonly path: string; readonly operation: Operation };

export type Asset = { readonly body: string; readonly type: string; readonly etag: string };

/** Nothing from anywhere else, no inline script, no frame. */
export const referencePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export const referencePaths = [
  "/docs",
  "/docs/reference.css",
  "/docs/reference.js",
  "/docs/icon.svg",
];

/** The reference page and what it needs, by address. Made once, from the document; readable without its script. */
export function referenceAssets(document: object): ReadonlyMap<string, Asset> {
  const asset = (body: string, type: string): Asset => ({
    body,
    type: `${type}; charset=utf-8`,
    etag: `"${sha256Hex(body).slice(0, 32)}"`,
  });
  const file = (name: string) =>
    readFileSync(new URL(`./reference-assets/${name}`, import.meta.url), "utf8");
  return new Map([
    ["/docs", asset(pageHtml(document as Document), "text/html")],
    ["/docs/reference.css", asset(file("reference.css"), "text/css")],
    ["/docs/reference.js", asset(file("reference.js"), "text/javascript")],
    ["/docs/icon.svg", asset(file("icon.svg"), "image/svg+xml")],
  ]);
}

function pageHtml(document: Document): string {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): Placed => ({ method, path, operation })),
  );
  const schemas = document.components.schemas ?? {};
  const groups = document.tags.map(({ name }) => ({
    name,
    anchor: `group-${slugOf(name)}`,
    operations: operations.filter(({ operation }) => operation.tags[0] === name),
  }));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(document.info.title)} API reference</title>
<link rel="icon" href="/docs/icon.svg">
<link rel="stylesheet" href="/docs/reference.css">
<script src="/docs/reference.js"></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="top">
<button type="button" class="menu" aria-controls="nav" aria-expanded="false" aria-label="Contents"><span></span></button>
<a class="brand" href="#top"><img src="/docs/icon.svg" alt="" width="22" height="22"><strong>${escapeHtml(document.info.title)}</strong> <span class="quiet">API ${escapeHtml(document.info.version)}</span></a>
<div class="search"><input type="search" id="search" placeholder="Search endpoints, members, problems" aria-label="Search" autocomplete="off" spellcheck="false"><kbd>/</kbd></div>
<a class="quiet plain wide-only" href="/openapi.json">openapi.json</a>
<button type="button" class="theme" aria-label="Light or dark"></button>
</header>
<nav id="nav" aria-label="Contents">
<ul class="nav-group"><li><a href="#top">Introduction</a></li><li><a href="#requests">Requests</a></li><li><a href="#money">Numbers and time</a></li><li><a href="#idempotency">Idempotency</a></li><li><a href="#lists">Lists</a></li><li><a href="#limits">Limits</a></li></ul>
${groups.map((group) => navGroup(group.name, group.anchor, group.operations)).join("\n")}
<p class="nav-title"><a href="#problems">Problems</a></p>
<p class="nav-title"><a href="#schemas">Schemas</a></p>
<p class="nothing" hidden>Nothing found.</p>
</nav>
<main id="main">
${introduction(document, operations.length)}
${groups
  .map(
    (group) => `<section class="group" id="${group.anchor}">
<h2><a href="#${group.anchor}">${escapeHtml(group.name)}</a></h2>
${group.operations.map((one) => operationHtml(one, schemas)).join("\n")}
</section>`,
  )
  .join("\n")}
${problemsHtml(operations)}
<section class="group" id="schemas">
<h2><a href="#schemas">Schemas</a></h2>
${Object.entries(schemas)
  .toSorted(([a], [b]) => (a < b ? -1 : 1))
  .map(([name, schema]) => schemaHtml(name, schema, schemas))
  .join("\n")}
</section>
</main>
</body>
</html>
`;
}

const slugOf = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");

function navGroup(name: string, anchor: string, operations: readonly Placed[]): string {
  const items = operations.map(
    ({ method, path, operation }) =>
      `<li><a href="#${operation.operationId}" title="${method.toUpperCase()} ${escapeHtml(path)}">${badge(method)}<span>${escapeHtml(operation.summary)}</span></a></li>`,
  );
  return `<div class="nav-section"><p class="nav-title"><a href="#${anchor}">${escapeHtml(name)}</a></p><ul class="nav-group">${items.join("")}</ul></div>`;
}

const badge = (method: string): string => `<b class="method ${method}">${method.toUpperCase()}</b>`;

function introduction(document: Document, count: number): string {
  const key = "<code>Authorization: Bearer tl_…</code>";
  return `<section class="group intro" id="top">
<p class="eyebrow">API reference</p>
<h1>${escapeHtml(document.info.title)}</h1>
<p class="lead">${prose(document.info.description.split("\n\n")[0] ?? "")}</p>
<p class="quiet">${count} endpoints · OpenAPI 3.1 · <a href="/openapi.json">openapi.json</a></p>

<div class="split" id="requests"><div>
<h2><a href="#requests">Requests</a></h2>
<p>Send the API key in the header ${key}. A key belongs to the provider, to one organization, or to one project; what it may do is the
sum of its <a href="#listRoles">roles</a> and permissions. Each endpoint below names the one permission it needs.</p>
<p>An organization is named in the address by id or slug, or as <code>current</code>: the one the key belongs to. What a key may not see
does not exist for it: the answer is 404.</p>
<p>A request that is refused gets a problem (<a href="https://www.rfc-editor.org/rfc/rfc9457">RFC 9457</a>) with a stable
<code>code</code>, a <code>detail</code> that says how to mend it, and <code>errors</code> with a JSON pointer to each faulty member. Every
answer carries <code>X-Request-Id</code>: quote it when you ask us.</p>
</div><div class="side">${codeBlock("A problem", JSON.stringify(problemExample, null, 2), "json")}</div></div>

<h2 id="money"><a href="#money">Numbers and time</a></h2>
<p>Quantities, rates and amounts are exact decimals, written as text: <code>"12.50"</code>. Nothing passes through a float on either side
of the wire. Moments are RFC 3339 with a zone, exact to the microsecond. Periods are half-open: they contain their start, not their end.</p>

<div class="split" id="idempotency"><div>
<h2><a href="#idempotency">Idempotency</a></h2>
<p>Any POST may carry an <code>Idempotency-Key</code>. Sent again with the same body, the request gets the first answer, whatever it was,
with <code>Idempotency-Replayed: true</code>; with another body 422; while the first is still running 409. The effect and its answer
are stored in one transaction, so no crash can separate them. Keys are kept for 30 days.</p>
</div><div class="side">${codeBlock("A header", 'Idempotency-Key: "8e03978e-40d5-43e8-bc93-6894a57f9324"', "http")}</div></div>

<h2 id="lists"><a href="#lists">Lists</a></h2>
<p>Lists return <code>data</code> and <code>next_cursor</code>. Pass it back as <code>cursor</code> for the next page; <code>null</code> says that this was
the last. What arrives meanwhile never shifts a page.</p>

<div class="split" id="limits"><div>
<h2><a href="#limits">Limits</a></h2>
<p>Each key has a budget of requests, announced on every answer. Beyond it the answer is 429 with <code>Retry-After</code>. A body may
have one mebibyte unless the endpoint says otherwise.</p>
</div><div class="side">${codeBlock("On every answer", 'RateLimit-Policy: "standard";q=10000;w=10\nRateLimit: "standard";r=9999;t=1', "http")}</div></div>
</section>`;
}

const problemExample = {
  type: "/problems/request_not_valid",
  title: refusals.request_not_valid.title,
  status: 400,
  code: "request_not_valid",
  detail: "body /tiers/2/up_to: write digits with an optional fraction",
  request_id: "req_01jz8v5w9k2m4n6p8q0r",
  errors: [
    { in: "body", pointer: "/tiers/2/up_to", detail: "write digits with an optional fraction" },
  ],
};

function operationHtml({ method, path, operation }: Placed, schemas: Schemas): string {
  const parameters = operation.parameters ?? [];
  const listOf = (place: Parameter["in"], title: string) => {
    const found = parameters.filter((one) => one.in === place);
    return found.length > 0
      ? `<h4>${title}</h4><div class="members">${found.map((one) => parameterHtml(one)).join("")}</div>`
      : "";
  };
  const permission = operation["x-permission"];
  const responses = Object.entries(operation.responses);
  const successes = responses.filter(([status]) => status < "400");
  return `<article class="operation" id="${operation.operationId}">
<div class="operation-main">
<h3><a href="#${operation.operationId}">${escapeHtml(operation.summary)}</a></h3>
<p class="address">${badge(method)}<code>${pathHtml(path)}</code></p>
${operation.description ? `<p>${prose(operation.description)}</p>` : ""}
<p class="permission">${
    permission === undefined
      ? "Needs no key"
      : permission === "any_key"
        ? "Needs any valid key"
        : `Needs <code title="${escapeHtml(operation["x-permission-says"] ?? "")}">${escapeHtml(permission)}</code>`
  }</p>
${listOf("path", "In the address")}${listOf("query", "Query")}${listOf("header", "Headers")}
${bodyHtml(operation.requestBody?.content, schemas)}
${successes.map(([status, answer]) => answerHtml(status, answer.description, answer.content, schemas)).join("")}
${refusalsHtml(responses)}
</div>
<div class="side">
${codeBlock("Request", curlOf({ method, path, operation }, schemas), "shell")}
${successes.map(([status, answer]) => answerExample(status, answer.content, schemas)).join("")}
</div>
</article>`;
}

const pathHtml = (path: string): string =>
  escapeHtml(path)
    .replaceAll("/", "<wbr>/")
    .replaceAll(/\{(\w+)\}/g, "<em>{$1}</em>");

function parameterHtml(parameter: Parameter): string {
  const limits = limitsOf(parameter.schema);
  const description = parameter.description ?? parameter.schema.description;
  return `<div class="member"><div class="member-head"><code class="member-name">${escapeHtml(parameter.name)}</code> <span class="member-type">${typeOf(parameter.schema)}</span>${
    parameter.required && parameter.in !== "path" ? ' <span class="required">required</span>' : ""
  }</div>${description ? `<p>${prose(description)}</p>` : ""}${limits ? `<p class="limits">${limits}</p>` : ""}</div>`;
}

function bodyHtml(content: Content | undefined, schemas: Schemas): string {
  if (!content) return "";
  return Object.entries(content)
    .map(([type, { schema }]) => {
      const members = schema ? membersHtml(schema, schemas) : "";
      return `<h4>Body <span class="quiet">${escapeHtml(type)}${schema?.$ref ? ` · ${typeOf(schema)}` : ""}</span></h4>${members}`;
    })
    .join("");
}

function answerHtml(
  status: string,
  description: string,
  content: Content | undefined,
  schemas: Schemas,
): string {
  const [type, media] = Object.entries(content ?? {})[0] ?? [];
  const members = media?.schema ? membersHtml(media.schema, schemas) : "";
  const inside =
    type === "application/json" || type === undefined
      ? ""
      : ` <span class="quiet">${escapeHtml(type)}</span>`;
  const name = media?.schema?.$ref ? ` <span class="quiet">· ${typeOf(media.schema)}</span>` : "";
  const head = `<span class="status ok">${status}</span> ${escapeHtml(description)}${inside}${name}`;
  return members
    ? `<details class="answer"><summary>${head}</summary>${members}</details>`
    : `<p class="answer plain-answer">${head}</p>`;
}

function refusalsHtml(
  responses: readonly (readonly [string, { readonly description: string }])[],
): string {
  const codes = responses
    .filter(([status]) => status >= "400")
    .flatMap(([, { description }]) =>
      [...description.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? ""),
    );
  const own = codes.filter((code) => !everywhere.has(code as RefusalCode));
  const rest = codes.length - own.length;
  const chip = (code: string) =>
    `<a class="chip" href="#problem-${code}"><span class="status">${statuses[code as RefusalCode]}</span> ${code}</a>`;
  return `<div class="refusals">${own.map(chip).join("")}<a class="chip more" href="#problems">${own.length > 0 ? "and " : ""}${rest} that any endpoint may give</a></div>`;
}

/** Refusals that say nothing about an endpoint of its own. */
const everywhere = new Set<RefusalCode>([
  "body_not_json",
  "body_too_large",
  "content_type_not_supported",
  "cursor_not_valid",
  "idempotency_key_in_flight",
  "idempotency_key_not_valid",
  "idempotency_key_reused",
  "internal_error",
  "key_missing",
  "key_not_valid",
  "organization_not_active",
  "organization_not_found",
  "organization_required",
  "permission_missing",
  "rate_limited",
  "request_not_valid",
  "service_busy",
]);

function curlOf({ method, path, operation }: Placed, schemas: Schemas): string {
  const parameters = operation.parameters ?? [];
  const address = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => {
    const parameter = parameters.find((one) => one.in === "path" && one.name === name);
    const value = parameter && exampleOf(parameter.schema, schemas);
    return typeof value === "string" && value !== "…" ? value : `{${name}}`;
  });
  const lines = [
    `curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}"$TALLYLINE${address}"`,
  ];
  if (operation["x-permission"] !== undefined)
    lines.push('-H "Authorization: Bearer $TALLYLINE_KEY"');
  if (parameters.some((one) => one.name === "Idempotency-Key"))
    lines.push('-H "Idempotency-Key: $(uuidgen)"');
  const [type, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (type !== undefined && media?.schema) {
    lines.push(`-H "Content-Type: ${type}"`);
    const body = type.includes("json")
      ? JSON.stringify(smallestExample(media.schema, schemas), null, 2).replaceAll("\n", "\n  ")
      : "@file";
    lines.push(
      type.includes("json") ? `-d '${body.replaceAll("'", "'\\''")}'` : `--data-binary ${body}`,
    );
  }
  return lines.join(" \\\n  ");
}

function answerExample(status: string, content: Content | undefined, schemas: Schemas): string {
  const media = content?.["application/json"];
  if (!media?.schema) return "";
  return codeBlock(
    `Answer ${status}`,
    JSON.stringify(exampleOf(media.schema, schemas), null, 2),
    "json",
  );
}

function codeBlock(title: string, text: string, language: "json" | "shell" | "http"): string {
  const body = language === "json" ? colored(text) : escapeHtml(text);
  return `<figure class="code"><figcaption>${escapeHtml(title)}<button type="button" class="copy">Copy</button></figcaption><pre tabindex="0"><code class="${language}">${body}</code></pre></figure>`;
}

/** JSON with its names and values told apart. */
function colored(json: string): string {
  return escapeHtml(json).replaceAll(
    /(&quot;(?:[^&\\]|\\.|&(?!quot;))*?&quot;)(\s*:)?|\b(true|false|null)\b|(-?\b\d+(?:\.\d+)?\b)/g,
    (all, text: string | undefined, colon: string | undefined, word: string | undefined) => {
      if (text !== undefined)
        return colon === undefined
          ? `<i class="s">${text}</i>`
          : `<i class="k">${text}</i>${colon}`;
      return `<i class="${word === undefined ? "n" : "w"}">${all}</i>`;
    },
  );
}

function problemsHtml(operations: readonly Placed[]): string {
  const usedBy = new Map<string, Placed[]>();
  for (const placed of operations)
    for (const [status, { description }] of Object.entries(placed.operation.responses))
      if (status >= "400")
        for (const [, code] of description.matchAll(/`(\w+)`/g))
          usedBy.set(code ?? "", [...(usedBy.get(code ?? "") ?? []), placed]);
  const rows = (Object.keys(refusals) as RefusalCode[]).map((code) => {
    const { title, advice } = refusals[code];
    const from = everywhere.has(code) ? [] : (usedBy.get(code) ?? []);
    const links = from
      .slice(0, 12)
      .map(
        ({ operation }) =>
          `<a href="#${operation.operationId}">${escapeHtml(operation.summary)}</a>`,
      );
    return `<div class="problem" id="problem-${code}"><div class="member-head"><span class="status">${statuses[code]}</span> <a href="#problem-${code}"><code class="member-name">${code}</code></a></div><p><strong>${escapeHtml(title)}.</strong> ${prose(advice)}</p>${
      links.length > 0 ? `<p class="limits">${links.join(" · ")}</p>` : ""
    }</div>`;
  });
  return `<section class="group" id="problems"><h2><a href="#problems">Problems</a></h2>
<p>Every reason for which the system says no. The code never changes its meaning.</p>${rows.join("\n")}</section>`;
}

function schemaHtml(name: string, schema: Schema, schemas: Schemas): string {
  const members = membersHtml(schema, schemas, 0, [name]);
  const facts = members ? "" : `<p class="member-type">${typeOf(schema)}</p>`;
  const limits = limitsOf(schema);
  return `<article class="schema" id="schema-${escapeHtml(name)}"><h3><a href="#schema-${escapeHtml(name)}">${escapeHtml(name)}</a></h3>${
    schema.description ? `<p>${prose(schema.description)}</p>` : ""
  }${facts}${limits ? `<p class="limits">${limits}</p>` : ""}${members}</article>`;
}
