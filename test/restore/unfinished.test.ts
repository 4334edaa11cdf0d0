/**
 * What a restore leaves behind when it does not come to its end, and what it does not touch: stopped at each stage with
 * every kind of object half made, met by a damaged leaf, pointed at the source or at a database in use.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { Failure } from '../../src/errors.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import { type RestoreReport, type RestoreStage, restoreDatabase } from '../../src/restore/database.ts'
import { openSource } from '../../src/source/open.ts'
import { EVERY_KIND, EVERY_ROW } from '../source/postgres/every-kind.ts'
import { connectClient, failureOf, runSql } from '../source/postgres/support.ts'
import { makeRepository, type TestRepository } from '../support/repository.ts'

const noPatients: PatientLayout = {
  patient: null,
  anchors: new Map(),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}
const stages: readonly RestoreStage[] = [
  'schema',
  'rows',
  'keys and indexes',
  'foreign keys',
  'sequences and views',
  'proof',
]

let server: PostgresServer
let made: TestRepository
let sourceUrl: string
let manifest: Manifest

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
  sourceUrl = await server.createDatabase('every_kind')
  await runSql(sourceUrl, EVERY_KIND, EVERY_ROW)
  await using source = await openSource({ url: sourceUrl })
  const snapshotId = await made.snapshot(source, noPatients, Date.UTC(2026, 0, 2))
  manifest = (await made.repository.readManifest(snapshotId)).manifest
})

afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

/** @param stopAt the stage at whose beginning the run is stopped */
async function restore(into: string, stopAt: RestoreStage | null = null): Promise<RestoreReport> {
  const stop = new AbortController()
  return await restoreDatabase({
    repository: made.repository,
    manifest,
    into: { url: into },
    buildPool: made.pool,
    signal: stop.signal,
    nowMs: () => 0,
    onProgress: (event) => {
      if (event.kind === 'stage' && event.stage === stopAt) throw new Failure('cancelled', `stopped at ${stopAt}`)
    },
  })
}

async function markOf(url: string): Promise<string | null> {
  const [row] = await rowsOf(
    url,
    `SELECT shobj_description(oid, 'pg_database') AS found FROM pg_database WHERE datname = current_database()`,
  )
  return row ?? null
}

async function rowsOf(url: string, sql: string): Promise<(string | null)[]> {
  await using client = await connectClient(url)
  return (await client.query(sql)).rows.map((row: { found: string | null }) => row.found)
}

/** All objects and their definitions, as far as a change would show. */
const FINGERPRINT = `SELECT string_agg(c.oid || ' ' || c.relname || ' ' || c.relfilenode || ' ' || c.xmin, ',' ORDER BY c.oid) AS found
  FROM pg_class c WHERE c.oid >= 16384`

describe('a restore that was stopped', () => {
  test.each(
    stages.map((stage) => ({ stage })),
  )('at $stage leaves its mark, and the next one clears every kind of object and succeeds', async ({ stage }) => {
    const target = await server.createDatabase(`stopped_${stages.indexOf(stage)}`)

    expect((await failureOf(() => restore(target, stage))).code).toBe('cancelled')
    expect(await markOf(target)).toContain('unfinished restore')

    expect(await restore(target)).toMatchObject({ verified: true })
    expect(await markOf(target)).toBeNull()
  })
})

describe('a restore', () => {
  test('into its own source is refused, and nothing of the source changes (F19)', async () => {
    const before = await rowsOf(sourceUrl, FINGERPRINT)

    const failure = await failureOf(() => restore(sourceUrl))

    expect(failure.code).toBe('target-is-source')
    expect(failure.hints.join(' ')).toContain('new, empty database')
    expect(await rowsOf(sourceUrl, FINGERPRINT)).toEqual(before)
    expect(await markOf(sourceUrl)).toBeNull()
  })

  test.each([
    ['used_1', 'a table', 'CREATE TABLE mine (a integer)'],
    ['used_2', 'a schema', 'CREATE SCHEMA mine'],
    ['used_3', 'a type', `CREATE TYPE mine AS ENUM ('a')`],
    ['used_4', 'a function', 'CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$'],
    ['used_5', 'a table and a comment', `COMMENT ON DATABASE used_5 IS 'third floor'; CREATE TABLE mine (a integer)`],
  ])('into database %s that holds %s is refused, and nothing of it changes', async (name, _, sql) => {
    const used = await server.createDatabase(name)
    await runSql(used, sql)
    const before = [await rowsOf(used, FINGERPRINT), await markOf(used)]

    expect((await failureOf(() => restore(used))).code).toBe('target-not-empty')

    expect([await rowsOf(used, FINGERPRINT), await markOf(used)]).toEqual(before)
  })

  test('that meets a damaged leaf lets no row of that leaf through, fails, and leaves its mark (I3)', async () => {
    const target = await server.createDatabase('damaged')
    const undo = await damageLargestPack()
    try {
      const failure = await failureOf(() => restore(target))

      expect(failure.code).toBe('repository-damaged')
      expect(failure.hints.join(' ')).toContain('chartkeep scrub')
      expect(await markOf(target)).toContain('unfinished restore')
      expect(await rowsOf(target, `SELECT count(*)::text AS found FROM icu.patient`)).toEqual(['0'])
    } finally {
      await undo()
    }
    expect(await restore(target)).toMatchObject({ verified: true })
  })
})

/** The pack of leaves: every chunk of it is hit. */
async function damageLargestPack(): Promise<() => Promise<void>> {
  const entries = await readdir(join(made.directory, 'packs'), { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const leafPack = join(made.directory, 'packs', await leafPackOf(files))
  const whole = await readFile(leafPack)
  const damaged = Buffer.from(whole)
  for (let at = 40; at < damaged.length; at += 16) damaged[at] = damaged[at]! ^ 1
  await writeFile(leafPack, damaged)
  return () => writeFile(leafPack, whole)
}

async function leafPackOf(files: readonly string[]): Promise<string> {
  const nodePacks = new Set(manifest.tables.map((table) => table.rows.pack))
  const found = files.map((file) => file.split('/').at(-1)!).find((packId) => !nodePacks.has(packId))
  return join(found!.slice(0, 2), found!)
}
