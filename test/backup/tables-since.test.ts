/**
 * Tables that are made, renamed or dropped after the schema was looked at and before the read stands: no lock holds them, and
 * their rows are visible to the read (P2). Every way of taking a snapshot has them, or says that it does not.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { takeSnapshot } from '../../src/backup/snapshot.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import type { Source } from '../../src/source/contract.ts'
import { openSource } from '../../src/source/open.ts'
import { runSql } from '../source/postgres/support.ts'
import { captureDatabase } from '../support/capture-by-hand.ts'
import { makeRepository, never } from '../support/repository.ts'

const LAYOUT: PatientLayout = {
  patient: null,
  anchors: new Map(),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}
const WORLD = [
  'CREATE TABLE a (id integer PRIMARY KEY)',
  'CREATE TABLE b (id integer PRIMARY KEY)',
  'INSERT INTO a VALUES (1)',
]
const MADE = 'CREATE TABLE late (id integer PRIMARY KEY); INSERT INTO late VALUES (1), (2)'

let server: PostgresServer
let round = 0

beforeAll(async () => {
  server = await startPostgres({ settings: { wal_level: 'logical', max_replication_slots: '8', max_wal_senders: '8' } })
}, 60_000)

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

describe.each(['base', 'full-read', 'incremental'] as const)('a snapshot taken as %s', (mode) => {
  test('has a table that was made while it was taken (P2)', async () => {
    const { manifest, reads } = await taken(mode, once(MADE))

    expect(manifest.mode).toBe(mode)
    expect(rowsOf(manifest)).toMatchObject({ 'public.a': 1, 'public.late': 2 })
    expect(manifest.notCaptured.filter(({ kind }) => kind === 'table')).toEqual([])
    expect(reads).toBe(2)
  })

  test.skipIf(mode === 'base')('has a table under the name that it got while it was taken (P2)', async () => {
    const { manifest } = await taken(mode, once('ALTER TABLE a RENAME TO z; DROP TABLE b'))

    expect(rowsOf(manifest)).toEqual({ 'public.z': 1 })
    expect(manifest.ddl.steps.some(({ sql }) => sql.includes('public.z'))).toBe(true)
  })

  test.skipIf(mode !== 'base')('does not name a table that it has, however often that is made anew', async () => {
    const { manifest } = await taken(mode, () => 'DROP TABLE b; CREATE TABLE b (id integer PRIMARY KEY)')

    expect(Object.keys(rowsOf(manifest))).toEqual(['public.a', 'public.b'])
    expect(manifest.notCaptured.filter(({ kind }) => kind === 'table')).toEqual([])
  })

  test.skipIf(mode === 'full-read')(
    'is taken of a source that makes tables all the time, and names what it does not have',
    async () => {
      let tables = 0
      const { manifest } = await taken(mode, () => {
        tables += 1
        return `CREATE TABLE late_${tables} (id integer PRIMARY KEY)`
      })

      expect(manifest.mode).toBe(mode)
      expect(Object.keys(rowsOf(manifest))).not.toContain(`public.late_${tables}`)
      expect(manifest.notCaptured.filter(({ kind }) => kind === 'table').map(({ name }) => name)).toEqual([
        `public.late_${tables}`,
      ])
    },
  )
})

/** What is run right before a read of the snapshot begins; null for nothing. */
type Meanwhile = () => string | null

function once(sql: string): Meanwhile {
  let isDone = false
  return () => {
    if (isDone) return null
    isDone = true
    return sql
  }
}

async function taken(mode: 'base' | 'full-read' | 'incremental', meanwhile: Meanwhile) {
  round += 1
  await using made = await makeRepository()
  const url = await server.createDatabase(`since_${round}`)
  await runSql(url, ...WORLD)
  const take = (source: Source) =>
    takeSnapshot({
      ...{ source, sourceName: 'icu', layout: LAYOUT, repository: made.repository, pool: made.pool, signal: never() },
      nowMs: Date.now,
      sleep: async () => {},
      onProgress: () => {},
    })
  await using captured =
    mode === 'incremental' ? await captureDatabase({ made, url, layout: LAYOUT, tables: ['a', 'b'] }) : null
  await using source = await openSource({ url })
  if (mode !== 'base') await take(source)
  await captured?.caughtUp()
  let reads = 0
  const { snapshot } = await take({
    ...source,
    identify: () => source.identify(),
    introspect: () => source.introspect(),
    openRead: async (options) => {
      reads += 1
      const sql = meanwhile()
      if (sql !== null) await runSql(url, sql)
      return await source.openRead(options)
    },
  })
  return { manifest: (await made.repository.readManifest(snapshot)).manifest, reads }
}

function rowsOf({ tables }: Manifest): Record<string, number> {
  return Object.fromEntries(tables.map(({ name, rows }) => [name, rows.rows]))
}
