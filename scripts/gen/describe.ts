import pg from "pg";

export type Column = {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly standard: string | null;
  /** The values a check constraint allows, when it is a plain list of texts. */
  readonly allowed: readonly string[] | null;
};
export type Table = {
  readonly name: string;
  readonly comment: string | null;
  readonly columns: readonly Column[];
  readonly constraints: readonly { readonly name: string; readonly definition: string }[];
  readonly indexes: readonly string[];
};
export type Schema = {
  readonly tables: readonly Table[];
  readonly views: readonly { readonly name: string; readonly definition: string }[];
};

/** Read tables, constraints and indexes of the public schema from the catalog, in an order that never changes. */
export async function describeSchema(connectionString: string): Promise<Schema> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ oid: string; name: string; comment: string }>(`
      select c.oid::text, c.relname as name, obj_description(c.oid, 'pg_class') as comment
      from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        and not c.relispartition and c.relname <> 'migration'
      order by c.relname collate "C"`);
    const { rows: views } = await client.query<{ name: string; definition: string }>(`
      select c.relname as name, pg_get_viewdef(c.oid) as definition from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('v', 'm')
      order by c.relname collate "C"`);
    const described: Table[] = [];
    for (const { oid, name, comment } of tables) {
      described.push({ name, comment, ...(await describeTable(client, oid)) });
    }
    return { tables: described, views };
  } finally {
    await client.end();
  }
}

async function describeTable(
  client: pg.Client,
  oid: string,
): Promise<Pick<Table, "columns" | "constraints" | "indexes">> {
  const { rows: columns } = await client.query<Omit<Column, "allowed">>(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable,
            pg_get_expr(d.adbin, d.adrelid) as standard
     from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [oid],
  );
  // Not-null constraints are rows of their own since 18 and said at the column anyway.
  const { rows: constraints } = await client.query<{ name: string; definition: string }>(
    `select conname as name, pg_get_constraintdef(oid, true) as definition from pg_constraint
     where conrelid = $1::oid and contype <> 'n'
     order by array_position(array['p','u','x','f','c']::"char"[], contype), conname collate "C"`,
    [oid],
  );
  const { rows: indexes } = await client.query<{ definition: string }>(
    `select pg_get_indexdef(i.indexrelid) as definition
     from pg_index i join pg_class c on c.oid = i.indexrelid
     where i.indrelid = $1::oid
       and not exists (select 1 from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p','u','x'))
     order by c.relname collate "C"`,
    [oid],
  );
  const lists = new Map(constraints.flatMap(({ definition }) => listCheck(definition)));
  return {
    columns: columns.map((column) => ({ ...column, allowed: lists.get(column.name) ?? null })),
    constraints,
    indexes: indexes.map((row) => row.definition),
  };
}

/** CHECK (kind = ANY (ARRAY['direct'::text, 'partner'::text])) says: kind is "direct" or "partner". */
function listCheck(definition: string): [string, string[]][] {
  const match = /^CHECK \((\w+) = ANY \(ARRAY\[(.+)\]\)\)$/.exec(definition);
  const [, column, list] = match ?? [];
  if (!column || !list || !/^'[^']*'::text(, '[^']*'::text)*$/.test(list)) return [];
  return [[column, [...list.matchAll(/'([^']*)'::text/g)].map((value) => value[1] ?? "")]];
}
