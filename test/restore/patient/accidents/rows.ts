/**
 * Every row of a database as the server prints it, read in one statement: the oracle's own look, before and after. Rows
 * are known by table and key; of a table without a key, by their text and how many equal ones came before.
 */
import type pg from 'pg'
import type { AccidentTable, AccidentWorld } from './world.ts'

export interface SeenRow {
  readonly table: AccidentTable
  /** The key's fields as the server prints them. */
  readonly key: readonly string[]
  readonly owner: string | null
  /** `row::text`. */
  readonly line: string
  /** The same without columns that triggers own. */
  readonly compared: string
}

/** By `rowId`. */
export type Seen = ReadonlyMap<string, SeenRow>

export const PINS =
  "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex'; SET search_path = 'public'"

export function rowId(table: AccidentTable, fields: readonly string[]): string {
  return `${table.name} ${JSON.stringify(fields)}`
}

/** One SELECT for each table, as one statement: one moment. */
export async function see(client: pg.Client, world: AccidentWorld): Promise<Seen> {
  const parts = world.tables.map((table, index) => {
    const key = table.key.length === 0 ? 'NULL' : `ARRAY[${table.key.map((name) => `concat(t."${name}")`).join(', ')}]`
    const columns = (table.triggered ?? []).map((name) => ` - '${name}'`).join('')
    const compared = columns === '' ? 'NULL' : `(to_jsonb(t)${columns})::text`
    return `SELECT ${index} AS n, ${key} AS key, (${table.owner})::text AS owner, t::text AS line, ${compared} AS compared FROM ${table.name} t`
  })
  const { rows } = await client.query<{
    n: number
    key: string[] | null
    owner: string
    line: string
    compared: string
  }>(parts.join(' UNION ALL '))
  const seen = new Map<string, SeenRow>()
  const equals = new Map<string, number>()
  for (const { n, key, owner, line, compared } of rows) {
    const table = world.tables[n]!
    const same = equals.get(line) ?? 0
    if (!key) equals.set(line, same + 1)
    const fields = key ?? [line, String(same)]
    seen.set(rowId(table, fields), { table, key: fields, owner, line, compared: compared ?? line })
  }
  return seen
}

/** Ids of rows that are not the same on both sides. */
export function differing(a: Seen, b: Seen): string[] {
  const found: string[] = []
  for (const [id, row] of a) if (b.get(id)?.compared !== row.compared) found.push(id)
  for (const id of b.keys()) if (!a.has(id)) found.push(id)
  return found
}

/** Makes the rows again what they were, past all triggers and keys. */
export async function putBack(client: pg.Client, { world, columns }: PutBack, wanted: Seen): Promise<void> {
  const now = await see(client, world)
  const off = [...wanted, ...now].filter(([id]) => wanted.get(id)?.line !== now.get(id)?.line)
  if (off.length === 0) return
  await client.query('BEGIN; SET LOCAL session_replication_role = replica')
  for (const [table, rows] of Map.groupBy(off, ([, row]) => row.table)) {
    const lines = new Set(rows.map(([, { line }]) => line))
    await client.query(`DELETE FROM ${table.name} t WHERE t::text = ANY($1)`, [[...lines]])
    const back = [...wanted.values()].filter((row) => row.table === table && lines.has(row.line))
    await insertLines(
      client,
      table,
      columns,
      back.map(({ line }) => line),
    )
  }
  await client.query('COMMIT')
}

export interface PutBack {
  readonly world: AccidentWorld
  readonly columns: TableColumns
}

/** By table: columns that can be written. */
export type TableColumns = ReadonlyMap<string, readonly string[]>

export async function writableColumns(client: pg.Client, world: AccidentWorld): Promise<TableColumns> {
  const found = new Map<string, string[]>()
  for (const { name } of world.tables) {
    const { rows } = await client.query<{ name: string }>(
      `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
      [name],
    )
    found.set(
      name,
      rows.map((row) => row.name),
    )
  }
  return found
}

/** By `table.column`, without lengths. */
export async function columnTypes(client: pg.Client, { tables }: AccidentWorld): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const { name } of tables) {
    const { rows } = await client.query<{ name: string; type: string }>(
      'SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0',
      [name],
    )
    for (const row of rows) found.set(`${name}.${row.name}`, row.type)
  }
  return found
}

export async function insertLines(
  client: pg.Client,
  { name }: AccidentTable,
  columns: TableColumns,
  lines: readonly string[],
): Promise<void> {
  const names = columns.get(name)!.map((column) => `"${column}"`)
  await client.query(
    `INSERT INTO ${name} (${names.join(', ')}) OVERRIDING SYSTEM VALUE
     SELECT ${names.map((column) => `(r.line::${name}).${column}`).join(', ')} FROM unnest($1::text[]) r (line)`,
    [lines],
  )
}
