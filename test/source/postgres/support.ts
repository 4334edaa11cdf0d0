/** What the tests of the PostgreSQL source share: servers by version, clients, and whole reads. */
import pg from 'pg'
import { afterAll, beforeAll, describe } from 'vitest'
import {
  availablePostgresVersions,
  type PostgresServer,
  startPostgres,
} from '../../../scripts/support/postgres-server.ts'
import { Failure } from '../../../src/errors.ts'
import type { ConsistentRead, DdlStep, ReadTicket, TableTicket } from '../../../src/source/contract.ts'
import { openSource, readTable } from '../../../src/source/open.ts'

export const LOCK_TIMEOUT_MS = 5000

export const allVersions = availablePostgresVersions()
/** Enough for a rule that versions may treat differently, when each takes its time. */
export const oldestAndNewest = [...new Set([Math.min(...allVersions), Math.max(...allVersions)])]

/** Of `wanted`, what this machine has; with EVERY_VERSION=1 in the environment, all from the lowest of them on. */
export function someVersions(wanted: readonly number[]): number[] {
  const every = process.env.EVERY_VERSION === '1'
  return allVersions.filter((version) => (every ? version >= Math.min(...wanted) : wanted.includes(version)))
}

/** One server for all tests of the block. */
export function describeOnServers(
  title: string,
  versions: readonly number[],
  tests: (server: () => PostgresServer) => void,
): void {
  describe.each(versions.map((version) => ({ version })))(`${title}, on PostgreSQL $version`, ({ version }) => {
    let server: PostgresServer
    beforeAll(async () => {
      server = await startPostgres({ version })
    })
    afterAll(() => server?.[Symbol.asyncDispose]())
    tests(() => server)
  })
}

export interface TestClient extends AsyncDisposable {
  query(sql: string): Promise<pg.QueryResult>
  readonly pid: number
}

export async function connectClient(url: string): Promise<TestClient> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  return {
    pid: rows[0]?.pid ?? 0,
    query: (sql) => client.query(sql),
    [Symbol.asyncDispose]: () => client.end(),
  }
}

export async function runSql(url: string, ...statements: string[]): Promise<void> {
  await using client = await connectClient(url)
  for (const statement of statements) await client.query(statement)
}

export async function readAll(url: string, tables?: readonly string[]): Promise<ConsistentRead> {
  await using source = await openSource({ url })
  const names = tables ?? (await source.introspect()).tables.map((table) => table.name)
  return source.openRead({ tables: names, signal: new AbortController().signal, lockTimeoutMs: LOCK_TIMEOUT_MS })
}

export async function linesOf(ticket: ReadTicket, table: TableTicket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of readTable(ticket, table, new AbortController().signal)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

export function ticketOf(read: ConsistentRead, name: string): TableTicket {
  const ticket = read.tableTickets.find((table) => table.name === name)
  if (!ticket) throw new Error(`the read has no table ${name}`)
  return ticket
}

/** Order of rows is nobody's promise. */
export function sortedLines(lines: Buffer): string[] {
  return lines.toString('latin1').split('\n').sort()
}

/** The Failure that `work` ends with; anything else is an error of the test. */
export async function failureOf(work: () => Promise<unknown>): Promise<Failure> {
  try {
    await work()
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error('it was expected to fail, and did not')
}

export const PHASES: readonly DdlStep['phase'][] = ['before-rows', 'key-or-index', 'attach', 'foreign-key', 'after']
