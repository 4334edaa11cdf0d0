/**
 * Rows of one patient out of the live database: one read-only transaction, its rows found by index wherever the database
 * has one. What the application waits for is never held: an ACCESS SHARE lock on the tables asked about, and a
 * snapshot for as long as a preview takes.
 */
import { Failure } from '../../errors.ts'
import type { ConnectionSettings, ReadPosition } from '../contract.ts'
import type { LiveRows, LiveRowsOptions, QueryValues, RowQuery } from '../row-contract.ts'
import { connect, type Session } from './connect.ts'
import { CopyOut } from './copy-out.ts'
import { toPostgresFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { introspect } from './introspect.ts'
import { hasFastKey, type KeyPart, keysAmong, rowsOfKeys } from './key-condition.ts'
import { quoteName, quoteText } from './quote.ts'

/** Keys in one statement: a patient's, usually; a statement of some megabytes at most. */
const VALUES_AT_ONCE = 100_000
/** Keys of which the server looks up some while we spell the next and take in what it found of those before. */
const KEYS_AT_ONCE = 8_192
/** A table that was this small when it was last counted is read in one go. */
const SMALL_TABLE_ROWS = 1_000
const TAB = 0x09
const NEWLINE = 0x0a

/** @throws source-unreachable, source-login-refused, missing-rights, setting-not-pinned */
export async function openLiveRows(settings: ConnectionSettings, options: LiveRowsOptions): Promise<LiveRows> {
  options.signal.throwIfAborted()
  const session = await connect(settings, 'read')
  const stop = () => session.destroy()
  options.signal.addEventListener('abort', stop, { once: true })
  const close = async () => {
    options.signal.removeEventListener('abort', stop)
    await session[Symbol.asyncDispose]()
  }
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    await session.query(`SET LOCAL lock_timeout = ${Math.ceil(options.lockTimeoutMs)}`)
    const position = await readPosition(session)
    const identity = await readIdentity(session)
    const schema = await introspect(session, { sizes: 'recorded' })
    const rows = async (query: RowQuery) => await readRows(session, query)
    return { identity, position, schema, rows, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    if (options.signal.aborted) throw options.signal.reason
    throw toPostgresFailure(error, { doing: 'looking at the live database', side: 'source' })
  }
}

async function readPosition(session: Session): Promise<ReadPosition> {
  const [row] = await session.query(`
    SELECT pg_current_snapshot() AS visible,
      CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn,
      to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS source_time`)
  return { lsn: row?.lsn ?? '', visible: row?.visible ?? '', sourceTime: row?.source_time ?? '' }
}

/**
 * Also of a session that writes: what is read back must be the same text (src/restore/patient/apply). Rows that policies
 * hide are refused by the server itself: `row_security` is off in every session.
 */
async function readRows(session: Session, query: RowQuery): Promise<Buffer[]> {
  const parts = await Array.fromAsync(new RowLookup(session, query).rows())
  return parts.length === 1 ? parts[0]! : parts.flat()
}

/** As `LiveRows.rows`, part by part, as often as it is asked for: what is asked is spelt once. */
export class RowLookup {
  readonly #session: Session
  readonly #query: RowQuery
  readonly #statements: string[] = []

  constructor(session: Session, query: RowQuery) {
    this.#session = session
    this.#query = query
  }

  async *rows(): AsyncGenerator<Buffer[], void, undefined> {
    const { table, where } = this.#query
    try {
      if (where.values.length === 0) return
      if (this.#isDivided()) yield* this.#keysInTurn()
      else if (where.values.length > VALUES_AT_ONCE) yield await readInParts(this.#session, this.#query)
      else yield await selectLines(this.#session, this.#statement(0))
    } catch (error) {
      throw toPostgresFailure(error, { doing: `reading rows of ${table.name}`, side: 'source' })
    }
  }

  /** Each part by the index of the key, whatever the planner thinks of so many keys. */
  #isDivided(): boolean {
    const { table, where } = this.#query
    const isWorthIt = where.values.length > KEYS_AT_ONCE && table.estimatedRows >= SMALL_TABLE_ROWS
    return isWorthIt && where.areKeys === true && hasFastKey(table)
  }

  /** While the server looks up a part, the next is spelt, and what it found before is looked at. */
  async *#keysInTurn(): AsyncGenerator<Buffer[], void, undefined> {
    const count = Math.ceil(this.#query.where.values.length / KEYS_AT_ONCE)
    const ask = (part: number): Promise<Buffer[]> => {
      const lines = selectLines(this.#session, this.#statement(part))
      // Whoever comes for them is told; nobody may.
      lines.catch(() => {})
      return lines
    }
    let asked = ask(0)
    try {
      for (let part = 0; part < count; part += 1) {
        if (part + 1 < count) this.#statement(part + 1)
        const lines = await asked
        if (part + 1 < count) asked = ask(part + 1)
        yield lines
      }
    } finally {
      // The session is free again on return.
      await asked.catch(() => {})
    }
  }

  #statement(part: number): string {
    const { table, columns, where } = this.#query
    const { encoding } = this.#session
    this.#statements[part] ??= this.#isDivided()
      ? rowsOfKeys(table, columns, keysOfPart(where.values, part), encoding)
      : selectStatement(this.#query, where.values.slice(), encoding, false)
    return this.#statements[part]
  }
}

function keysOfPart(values: QueryValues, part: number): KeyPart {
  const start = part * KEYS_AT_ONCE
  return { values, start, end: Math.min(start + KEYS_AT_ONCE, values.length) }
}

/** Equal values may stand in two parts, and bring a row twice: rows are told apart by `ctid`, which is taken off again. */
async function readInParts(session: Session, query: RowQuery): Promise<Buffer[]> {
  const { values } = query.where
  const found = new Map<string, Buffer>()
  for (let start = 0; start < values.length; start += VALUES_AT_ONCE) {
    const part = values.slice(start, start + VALUES_AT_ONCE)
    for (const line of await selectLines(session, selectStatement(query, part, session.encoding, true))) {
      const end = line.indexOf(TAB)
      found.set(line.toString('latin1', 0, end), line.subarray(end + 1))
    }
  }
  return [...found.values()]
}

async function selectLines(session: Session, statement: string): Promise<Buffer[]> {
  const copy = new CopyOut(`COPY (${statement}) TO STDOUT (ENCODING ${quoteText(session.encoding)})`)
  return await linesOf(session.client.query(copy).lines())
}

function selectStatement(
  query: RowQuery,
  values: readonly (readonly Uint8Array[])[],
  encoding: string,
  ctid: boolean,
): string {
  const { table, columns, where } = query
  refuseLostColumns(table, where.columns)
  const names = [...(ctid ? ['ctid'] : []), ...columns.map(quoteName)]
  return `SELECT ${names.join(', ')} FROM ONLY ${table.sqlName} WHERE ${keysAmong(table, where.columns, values, encoding)}`
}

function refuseLostColumns({ name, columns }: RowQuery['table'], wanted: readonly string[]): void {
  const lost = wanted.find((column) => !columns.some((known) => known.name === column))
  if (lost === undefined) return
  throw new Failure('schema-changed', `table ${name} has no column ${lost} any more`, { context: { table: name } })
}

async function linesOf(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const text = Buffer.concat(await Array.fromAsync(chunks, (chunk) => Buffer.from(chunk)))
  const lines: Buffer[] = []
  let start = 0
  for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, start)) {
    lines.push(text.subarray(start, end))
    start = end + 1
  }
  return lines
}
