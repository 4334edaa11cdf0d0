/**
 * The main promise, judged from outside: a database goes into a repository and comes back elsewhere, and every table's
 * rows are the same bytes. The judge reads both databases by plain COPY and knows nothing of trees or digests of ours:
 * it adds up SHA-256 of the lines, so that order does not matter and duplicates count.
 */
import { createHash } from 'node:crypto'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import { type RestoreReport, restoreDatabase } from '../../src/restore/database.ts'
import { openSource } from '../../src/source/open.ts'
import { makeRepository, never } from './repository.ts'

export interface RoundTrip {
  readonly report: RestoreReport
  /** Of the source while nobody wrote, and of the rebuilt database: by table, rows and their sum. */
  readonly source: ReadonlyMap<string, string>
  readonly rebuilt: ReadonlyMap<string, string>
}

export async function roundTrip(sourceUrl: string, targetUrl: string, layout: PatientLayout): Promise<RoundTrip> {
  await using made = await makeRepository()
  await using source = await openSource({ url: sourceUrl })
  const snapshotId = await made.snapshot(source, layout, Date.UTC(2026, 0, 2))
  const { manifest } = await made.repository.readManifest(snapshotId)
  const report = await restoreDatabase({
    repository: made.repository,
    manifest,
    into: { url: targetUrl },
    buildPool: made.pool,
    signal: never(),
    nowMs: () => Date.UTC(2026, 0, 3),
    onProgress: () => {},
  })
  const tables = manifest.tables.map((table) => ({
    name: table.name,
    sqlName: table.sqlName,
    columns: table.columns.map((column) => column.name),
  }))
  return { report, source: await tableSums(sourceUrl, tables), rebuilt: await tableSums(targetUrl, tables) }
}

interface JudgedTable {
  readonly name: string
  readonly sqlName: string
  readonly columns: readonly string[]
}

async function tableSums(url: string, tables: readonly JudgedTable[]): Promise<Map<string, string>> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await client.query("SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET extra_float_digits = 3")
    const sums = new Map<string, string>()
    for (const table of tables) sums.set(table.name, await tableSum(client, table))
    return sums
  } finally {
    await client.end()
  }
}

async function tableSum(client: pg.Client, table: JudgedTable): Promise<string> {
  const columns = table.columns.map((column) => `"${column.replaceAll('"', '""')}"`).join(', ')
  const stream = client.query(copyTo(`COPY ${table.sqlName} (${columns}) TO STDOUT`))
  let rest: Buffer = Buffer.alloc(0)
  let rows = 0
  const words = new BigUint64Array(4)
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = text.indexOf(0x0a); end >= 0; end = text.indexOf(0x0a, start)) {
      addDigest(words, text.subarray(start, end))
      rows += 1
      start = end + 1
    }
    rest = Buffer.from(text.subarray(start))
  }
  return `${rows} rows, ${[...words].map((word) => word.toString(16)).join('-')}`
}

/** Each word wraps by itself. */
function addDigest(words: BigUint64Array, line: Uint8Array): void {
  const digest = createHash('sha256').update(line).digest()
  for (let word = 0; word < 4; word += 1) words[word] = words[word]! + digest.readBigUInt64LE(word * 8)
}
