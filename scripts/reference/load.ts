/**
 * One COPY a large table, all open at once, fed from memory that stays bounded: lines gather to 64 KiB a table, and
 * whoever writes waits (`drain`) while a connection has more than its share under way. The small tables, whose size
 * does not grow with the years, are kept until the end and follow one after the other.
 */
import { once } from 'node:events'
import pg from 'pg'
import { type CopyStreamQuery, from as copyFrom } from 'pg-copy-streams'
import { Failure } from '../../src/errors.ts'
import { type RowSink, type TableName, tableColumns, tableNames } from './tables.ts'

const FLUSH_CHARACTERS = 64 * 1024
const STREAM_BYTES_MAX = 1024 * 1024

const smallTables: ReadonlySet<TableName> = new Set([
  'dict.item',
  'dict.drug',
  'dict.diagnosis',
  'dict."给药频次"',
  'public.department',
  'public.staff',
  'public.bed',
  'public.device',
  'public.quality_indicator',
])

interface OpenTable {
  readonly client: pg.Client
  readonly stream: CopyStreamQuery
  readonly finished: Promise<void>
  pending: string
}

export class TableLoader implements RowSink {
  private readonly url: string
  private readonly tables = new Map<TableName, OpenTable>()
  private readonly kept = new Map<TableName, string>()
  private failure: Failure | undefined

  private constructor(url: string) {
    this.url = url
  }

  static async open(url: string): Promise<TableLoader> {
    const loader = new TableLoader(url)
    try {
      for (const name of tableNames) {
        if (!smallTables.has(name)) loader.tables.set(name, await loader.openTable(name))
      }
    } catch (error) {
      await loader.close()
      throw error
    }
    return loader
  }

  write(table: TableName, line: string): void {
    const open = this.tables.get(table)
    if (open === undefined) {
      this.kept.set(table, (this.kept.get(table) ?? '') + line)
      return
    }
    open.pending += line
    if (open.pending.length >= FLUSH_CHARACTERS) flush(open)
  }

  /** Waits until every table has room again. */
  async drain(): Promise<void> {
    for (const { stream, finished } of this.tables.values()) {
      if (this.failure) break
      if (stream.writableNeedDrain) await Promise.race([once(stream, 'drain'), finished])
    }
    if (this.failure) throw this.failure
  }

  /** Ends every COPY. @returns the rows that the server stored, by table. */
  async finish(): Promise<Record<TableName, number>> {
    const counts = {} as Record<TableName, number>
    for (const [name, open] of this.tables) counts[name] = await this.finishTable(open)
    for (const [name, lines] of this.kept) {
      const open = await this.openTable(name)
      open.pending = lines
      counts[name] = await this.finishTable(open).finally(() => open.client.end())
    }
    return counts
  }

  async close(): Promise<void> {
    for (const { client, stream } of this.tables.values()) {
      if (!stream.writableFinished) client.connection.stream.destroy()
      await client.end().catch(() => undefined)
    }
  }

  private async finishTable(open: OpenTable): Promise<number> {
    flush(open)
    open.stream.end()
    await open.finished
    if (this.failure) throw this.failure
    return open.stream.rowCount ?? 0
  }

  private async openTable(name: TableName): Promise<OpenTable> {
    const client = new pg.Client({ connectionString: this.url, application_name: 'chartkeep-reference' })
    // A lost connection also ends the COPY, which reports it; without a listener it would end the process.
    client.on('error', () => undefined)
    await client.connect()
    const stream = client.query(
      copyFrom(`copy ${name} (${tableColumns[name]}) from stdin`, { highWaterMark: STREAM_BYTES_MAX }),
    )
    const finished = once(stream, 'finish').then(
      () => undefined,
      (error: unknown) => {
        this.failure ??= loadFailure(name, error)
      },
    )
    return { client, stream, finished, pending: '' }
  }
}

function flush(table: OpenTable): void {
  if (table.pending === '') return
  table.stream.write(Buffer.from(table.pending, 'utf8'))
  table.pending = ''
}

/** The database's own message quotes the row (F42); its state does not. */
function loadFailure(table: TableName, error: unknown): Failure {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
  return new Failure('target-failed', `loading ${table} ended with SQLSTATE ${code}`, {
    hints: ['Give a new, empty database and run the same command again.'],
  })
}
