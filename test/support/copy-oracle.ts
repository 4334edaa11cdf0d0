/**
 * What the tables of a database are, by PostgreSQL's own COPY and an order that is written here a second time: NULL,
 * then whole numbers by value, then everything else by its bytes. No code of ours stands between the rows and the test.
 */
import { createHash } from 'node:crypto'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'

export interface OracleTable {
  /** As statements name it. */
  readonly sqlName: string
  readonly columns: readonly string[]
  /** Column names; empty for a bag. */
  readonly primaryKey: readonly string[]
  readonly anchor: string | null
}

const SETTINGS =
  "SET datestyle='ISO, YMD'; SET intervalstyle='postgres'; SET timezone='UTC'; SET extra_float_digits=3; " +
  "SET bytea_output='hex'; SET client_encoding='UTF8'; SET search_path=''; SET lc_monetary='C'"

/** The table's lines, sorted by key, one newline behind each. */
export async function copySorted(url: string, table: OracleTable): Promise<Buffer> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await client.query(SETTINGS)
    const columns = table.columns.map((column) => `"${column.replaceAll('"', '""')}"`).join(', ')
    const stream = client.query(copyTo(`COPY (SELECT ${columns} FROM ${table.sqlName}) TO STDOUT`))
    const parts: Buffer[] = []
    for await (const part of stream) parts.push(part)
    return sortLines(Buffer.concat(parts), table)
  } finally {
    await client.end()
  }
}

export function sortLines(text: Buffer, { columns, primaryKey, anchor }: Omit<OracleTable, 'sqlName'>): Buffer {
  // latin1 keeps every byte a character of its own, so that comparing strings compares bytes.
  const lines = text.toString('latin1').split('\n').slice(0, -1)
  const keyColumns = [...(anchor === null ? [] : [anchor]), ...primaryKey].map((name) => columns.indexOf(name))
  const keyed = lines.map((line) => {
    const fields = line.split('\t')
    const key = keyColumns.map((index) => fields[index]!)
    const digest = primaryKey.length === 0 ? bagDigest(line) : ''
    return { line, key, digest }
  })
  keyed.sort((a, b) => {
    for (let index = 0; index < a.key.length; index += 1) {
      const order = compareFields(a.key[index]!, b.key[index]!)
      if (order !== 0) return order
    }
    return a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0
  })
  return Buffer.from(keyed.map(({ line }) => `${line}\n`).join(''), 'latin1')
}

function bagDigest(line: string): string {
  return createHash('sha256').update(Buffer.from(line, 'latin1')).digest('hex').slice(0, 32)
}

/** NULL first, then whole numbers of up to 62 digits by value, then text. */
function compareFields(a: string, b: string): number {
  const kinds = [kindOf(a), kindOf(b)] as const
  if (kinds[0] !== kinds[1]) return kinds[0] - kinds[1]
  if (kinds[0] !== 1) return a < b ? -1 : a > b ? 1 : 0
  const difference = BigInt(a) - BigInt(b)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

function kindOf(field: string): 0 | 1 | 2 {
  if (field === '\\N') return 0
  return /^(0|-?[1-9][0-9]{0,61})$/.test(field) ? 1 : 2
}
