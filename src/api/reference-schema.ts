/** The parts of a JSON Schema that our document uses. */
export type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly default?: unknown;
  readonly example?: unknown;
  readonly examples?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
};
export type Schemas = Readonly<Record<string, Schema>>;

export const escapeHtml = (text: string): string =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");

/** Text with `code` in it, as our descriptions are written. */
export const prose = (text: string): string =>
  escapeHtml(text).replaceAll(/`([^`]+)`/g, "<code>$1</code>");

const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf("/") + 1);

/** The schema itself, with references and one-part unions followed. */
function resolve(schema: Schema, schemas: Schemas): Schema {
  if (schema.$ref !== undefined) return resolve(schemas[nameOf(schema.$ref)] ?? {}, schemas);
  if (schema.allOf) {
    const parts = schema.allOf.map((part) => resolve(part, schemas));
    return Object.assign({}, ...parts, {
      ...schema,
      allOf: undefined,
      properties: Object.assign(
        {},
        ...parts.map((part) => part.properties ?? {}),
        schema.properties,
      ),
      required: [...parts.flatMap((part) => part.required ?? []), ...(schema.required ?? [])],
    }) as Schema;
  }
  return schema;
}

const choicesOf = (schema: Schema): readonly Schema[] | undefined => schema.anyOf ?? schema.oneOf;
const isNull = (schema: Schema): boolean => schema.type === "null";

/** What a value is, in a few words, with a link where it has a name: "array of Contact or null". */
export function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) {
    const name = nameOf(schema.$ref);
    return `<a class="type" href="#schema-${escapeHtml(name)}">${escapeHtml(name)}</a>`;
  }
  if (schema.allOf?.length === 1 && schema.allOf[0]) return typeOf(schema.allOf[0]);
  const choices = choicesOf(schema);
  if (choices) return choices.map((one) => typeOf(one)).join(" or ");
  if (schema.const !== undefined) return `<code>${escapeHtml(JSON.stringify(schema.const))}</code>`;
  if (schema.enum)
    return schema.enum.map((one) => `<code>${escapeHtml(String(one))}</code>`).join(" · ");
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? "anything"];
  return types
    .map((type: string) =>
      type === "array"
        ? `array of ${typeOf(schema.items ?? {})}`
        : type === "string" && schema.format
          ? `string, ${escapeHtml(schema.format)}`
          : escapeHtml(type),
    )
    .join(" or ");
}

/** The limits of a value in words. */
export function limitsOf(schema: Schema): string {
  const parts: string[] = [];
  const range = (least: number | undefined, most: number | undefined, unit: string) => {
    if (least !== undefined && most !== undefined && most < 1e15)
      parts.push(`${least} to ${most}${unit}`);
    else if (least !== undefined && least > -1e15) parts.push(`at least ${least}${unit}`);
    else if (most !== undefined && most < 1e15) parts.push(`at most ${most}${unit}`);
  };
  range(schema.minimum, schema.maximum, "");
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " items");
  if (
    schema.default !== undefined &&
    !(Array.isArray(schema.default) && schema.default.length === 0)
  )
    parts.push(`default <code>${escapeHtml(JSON.stringify(schema.default))}</code>`);
  return parts.join(", ");
}

/** The members of an object, one row each; objects inside are folded. */
export function membersHtml(
  given: Schema,
  schemas: Schemas,
  depth = 0,
  seen: readonly string[] = [],
): string {
  const schema = resolve(given, schemas);
  const choices = choicesOf(schema)?.filter((one) => !isNull(one));
  if (choices) return choices.map((one) => membersHtml(one, schemas, depth, seen)).join("");
  if (schema.type === "array" && schema.items)
    return membersHtml(schema.items, schemas, depth, seen);
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length === 0) return "";
  const required = new Set(schema.required ?? []);
  const rows = properties.map(([name, member]) => {
    const inner = innerName(member);
    const circular = inner !== undefined && seen.includes(inner);
    const nested =
      depth < 3 && !circular
        ? membersHtml(member, schemas, depth + 1, inner === undefined ? seen : [...seen, inner])
        : "";
    const full = resolve(member, schemas);
    const description = member.description ?? (choicesOf(member) ? undefined : full.description);
    const limits = limitsOf(full);
    return `<div class="member">
<div class="member-head"><code class="member-name">${escapeHtml(name)}</code> <span class="member-type">${typeOf(member)}</span>${
      required.has(name) ? ' <span class="required">required</span>' : ""
    }</div>
${description ? `<p>${prose(description)}</p>` : ""}${limits ? `<p class="limits">${limits}</p>` : ""}${
  nested ? `<details><summary>its members</summary>${nested}</details>` : ""
}
</div>`;
  });
  return `<div class="members">${rows.join("")}</div>`;
}

function innerName(schema: Schema): string | undefined {
  if (schema.$ref !== undefined) return nameOf(schema.$ref);
  if (schema.items) return innerName(schema.items);
  return choicesOf(schema)
    ?.map(innerName)
    .find((name) => name !== undefined);
}

/** A value that the schema would accept: its own examples where there are any. */
export function exampleOf(given: Schema, schemas: Schemas, depth = 0): unknown {
  const own = given.example ?? given.examples?.[0];
  if (own !== undefined) return own;
  const schema = resolve(given, schemas);
  const example = schema.example ?? schema.examples?.[0];
  if (example !== undefined) return example;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.default !== undefined && schema.type !== "array") return schema.default;
  if (depth > 6) return null;
  const choices = choicesOf(schema);
  if (choices?.[0])
    return exampleOf(choices.find((one) => !isNull(one)) ?? choices[0], schemas, depth + 1);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, member]) => [
          name,
          exampleOf(member, schemas, depth + 1),
        ]),
      );
    case "array":
      return schema.items && depth < 5 ? [exampleOf(schema.items, schemas, depth + 1)] : [];
    case "string":
      return stringExample(schema);
    case "integer":
    case "number":
      return schema.minimum !== undefined && schema.minimum > -1e15 ? schema.minimum : 1;
    case "boolean":
      return true;
    default:
      return null;
  }
}

const stringExamples = new Map([
  ["date-time", "2025-01-31T23:59:59.999Z"],
  ["date", "2025-01-31"],
  ["email", "ap@acme.example"],
]);
const stringExample = ({ format }: Schema): string => stringExamples.get(format ?? "") ?? "…";

/** The members that must be given, and one more or two: what a first request looks like. */
export function smallestExample(given: Schema, schemas: Schemas): unknown {
  const schema = resolve(given, schemas);
  const whole = exampleOf(given, schemas);
  if (typeof whole !== "object" || whole === null || Array.isArray(whole) || !schema.properties)
    return whole;
  const required = new Set(schema.required ?? []);
  const optional = Object.keys(schema.properties).filter(
    (name) =>
      !required.has(name) &&
      resolve(schema.properties?.[name] ?? {}, schemas).default === undefined,
  );
  const shown = new Set([...required, ...(required.size > 1 ? [] : optional.slice(0, 2))]);
  return Object.fromEntries(Object.entries(whole).filter(([name]) => shown.has(name)));
}
