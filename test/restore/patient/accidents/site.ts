/**
 * A server, a repository and one database for many rounds: a snapshot, a captured history of the ward behind it, and for
 * moments of it what every table held, read by plain SQL.
 */
import pg from 'pg'
import { type PostgresServer, startPostgres } from '../../../../scripts/support/postgres-server.ts'
import type { TransactionStamp } from '../../../../src/repository/change-log/change.ts'
import { listLogs, openLog } from '../../../../src/repository/change-log/reader.ts'
import { transactionChangeId } from '../../../../src/repository/history/change-id.ts'
import { parseLsn } from '../../../../src/repository/lsn.ts'
import type { Repository } from '../../../../src/repository/repository.ts'
import { captureDatabase } from '../../../support/capture-by-hand.ts'
import { toLayout } from '../../../support/layout.ts'
import { makeRepository, type TestRepository } from '../../../support/repository.ts'
import { columnTypes, PINS, type Seen, type SeenRow, see, type TableColumns, writableColumns } from './rows.ts'
import { trafficSql } from './traffic.ts'
import type { AccidentPlace, AccidentWorld, PlayScene } from './world.ts'

export interface AccidentSite extends AsyncDisposable {
  readonly place: AccidentPlace
  readonly world: AccidentWorld
  readonly columns: TableColumns
  /** By `table.column`, as the server prints it. */
  readonly types: ReadonlyMap<string, string>
  readonly links: readonly Link[]
  readonly server: PostgresServer
  readonly url: string
  /** As superuser, pinned. */
  readonly client: pg.Client
  readonly repository: Repository
  readonly moments: readonly SeenMoment[]
  /** What every round begins with. */
  readonly origin: Seen
}

/** A foreign key. */
export interface Link {
  readonly child: string
  readonly parent: string
  readonly columns: readonly string[]
  readonly referenced: readonly string[]
}

export interface SeenMoment {
  /** Ways to ask for it: a position, a time, a change. */
  readonly asked: readonly string[]
  readonly seen: Seen
}

export interface SiteOptions {
  readonly rows: number
  readonly moments: number
  readonly seed: number
}

export async function openAccidentSite(place: AccidentPlace, options: SiteOptions): Promise<AccidentSite> {
  const stack = new AsyncDisposableStack()
  try {
    const { world, version } = place
    const server = stack.use(await startPostgres(version === undefined ? {} : { version }))
    const made = stack.use(await makeRepository())
    const url = await server.createDatabase('accidents')
    await place.make(server, url, options)
    const client = new pg.Client(url)
    await client.connect()
    stack.defer(() => client.end())
    await client.query(PINS)
    const columns = await writableColumns(client, world)
    const types = await columnTypes(client, world)
    const moments = await captureHistory({ made, url, client, place, columns, types }, options)
    await client.query(trafficSql(world))
    for (const statement of place.finish) await client.query(statement)
    const repository = stack.use(await made.open())
    const origin = await see(client, world)
    const disposal = stack.move()
    const dispose = () => disposal.disposeAsync()
    const links = await readLinks(client)
    return {
      place,
      world,
      columns,
      types,
      links,
      server,
      url,
      client,
      repository,
      moments,
      origin,
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

interface History extends PlayScene {
  readonly made: TestRepository
  readonly place: AccidentPlace
}

interface Marked {
  readonly lsn: string
  readonly time: string
  readonly seen: Seen
}

async function captureHistory(history: History, { moments, seed }: SiteOptions): Promise<SeenMoment[]> {
  const { made, url, client, place } = history
  const { world } = place
  const tables = world.tables.filter(({ key }) => key.length > 0).map(({ name }) => name)
  await using captured = await captureDatabase({ made, url, layout: toLayout(world.layout), tables })
  const { snapshotId } = await captured.snapshot()
  const first = await see(client, world)
  const marked: Marked[] = []
  for (let moment = 0; moment < moments; moment += 1) {
    await place.play(history, seed + moment)
    const { rows } = await client.query(
      `SELECT pg_current_wal_insert_lsn()::text AS lsn, to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time`,
    )
    marked.push({ ...rows[0], seen: withKeylessOf(await see(client, world), first) })
    await client.query('SELECT pg_sleep(0.01)')
  }
  await place.play(history, seed + moments)
  await captured.caughtUp()
  const changes = await firstChanges(made, marked)
  return [
    { asked: [snapshotId], seen: first },
    ...marked.map(({ lsn, time, seen }, index) => ({ asked: [lsn, time, ...(changes[index] ?? [])], seen })),
  ]
}

/** Rows of a table without a key are known as of snapshots only. */
function withKeylessOf(seen: Seen, first: Seen): Seen {
  const isKeyless = (row: SeenRow) => row.table.key.length === 0
  return new Map([...[...seen].filter(([, row]) => !isKeyless(row)), ...[...first].filter(([, row]) => isKeyless(row))])
}

/** Of each moment the first change behind it, if there is one. */
async function firstChanges(made: TestRepository, marked: readonly Marked[]): Promise<string[][]> {
  await using repository = await made.open()
  const { logs } = await listLogs(repository, 'icu')
  const log = await openLog(repository, logs.at(-1)!.logId)
  const stamps: TransactionStamp[] = []
  for await (const part of log.transactions()) stamps.push(part)
  return marked.map(({ lsn }) => {
    const next = stamps.find(({ endLsn }) => endLsn > parseLsn(lsn))
    return next ? [`before:${transactionChangeId(logs.at(-1)!.logId, next)}`] : []
  })
}

async function readLinks(client: pg.Client): Promise<Link[]> {
  const named = (relation: string) =>
    `(SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ${relation})`
  const columns = (relation: string, numbers: string) =>
    `(SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(${numbers}) WITH ORDINALITY u (number, at)
      JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = u.number)`
  const { rows } = await client.query<Link>(
    `SELECT ${named('k.conrelid')} AS child, ${named('k.confrelid')} AS parent, ${columns('k.conrelid', 'k.conkey')} AS columns,
       ${columns('k.confrelid', 'k.confkey')} AS referenced FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0`,
  )
  return rows
}
