/** Roots of a live database against those of a snapshot: the same rows, the same root; any other row, another. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { type ProvenTable, proveRoots } from '../../src/intake/prove-roots.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import { openSource } from '../../src/source/open.ts'
import { runSql } from '../source/postgres/support.ts'
import { makeRepository, never, type TestRepository } from '../support/repository.ts'
import { wardLayout, wardSql } from '../support/ward.ts'

let server: PostgresServer
let made: TestRepository
let manifest: Manifest
let databases = 0

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
  const url = await wardDatabase()
  await using source = await openSource({ url })
  const snapshotId = await made.snapshot(source, wardLayout, Date.UTC(2026, 0, 2))
  manifest = (await made.repository.readManifest(snapshotId)).manifest
})

afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function wardDatabase(...changes: string[]): Promise<string> {
  databases += 1
  const url = await server.createDatabase(`ward_${databases}`)
  await runSql(url, ...wardSql({ vitals: 3000 }), ...changes)
  return url
}

async function proveAgainst(url: string): Promise<Map<string, ProvenTable>> {
  await using source = await openSource({ url })
  const { repository, pool } = made
  const tables = await proveRoots({ source, manifest, repository, pool, signal: never() })
  return new Map(tables.map((table) => [table.table, table]))
}

function unequal(tables: ReadonlyMap<string, ProvenTable>): string[] {
  return [...tables.values()].filter((table) => !table.equal).map((table) => table.table)
}

describe('roots of a database', () => {
  test('another database with the same rows, stored in another order, has the same roots', async () => {
    const url = await wardDatabase(
      'CREATE TABLE shuffled AS SELECT * FROM vital_sign ORDER BY random()',
      'TRUNCATE vital_sign',
      'INSERT INTO vital_sign SELECT * FROM shuffled',
      'DROP TABLE shuffled',
    )

    const tables = await proveAgainst(url)

    expect(unequal(tables)).toEqual([])
    expect(tables.get('public.vital_sign')?.rows).toBe(3000)
    expect(tables.size).toBe(manifest.tables.length)
  })

  test.each([
    ['a changed value', 'public.vital_sign', `UPDATE vital_sign SET value = value + 0.01 WHERE id = 1500`],
    [
      'a zero behind the decimal point',
      'public.vital_sign',
      `UPDATE vital_sign SET value = (value::text || '0')::numeric WHERE id = 7`,
    ],
    ['a missing row', 'public.device_log', `DELETE FROM device_log WHERE ctid = (SELECT min(ctid) FROM device_log)`],
    ['an extra row', 'public.note_2026', `INSERT INTO note VALUES (9999, 101, 2026, 'more')`],
    [
      'an equal row more, in a table without key',
      'public.device_log',
      `INSERT INTO device_log SELECT * FROM device_log LIMIT 1`,
    ],
    ['another value in a table of no patient', 'public.drug', `UPDATE drug SET label = label || ' ' WHERE code = 'D1'`],
    ['a table without its rows', 'public.diagnosis', 'TRUNCATE diagnosis'],
  ])('%s changes the root of its table, and of no other', async (_, table, change) => {
    const url = await wardDatabase(change)

    expect(unequal(await proveAgainst(url))).toEqual([table])
  })

  test('a table that is gone, or has another column, is not equal and has no root', async () => {
    const url = await wardDatabase('DROP TABLE diagnosis', 'ALTER TABLE drug ADD COLUMN price numeric')

    const tables = await proveAgainst(url)

    expect(tables.get('public.diagnosis')).toMatchObject({ foundRoot: null, columnsDiffer: false, equal: false })
    expect(tables.get('public.drug')).toMatchObject({ foundRoot: null, columnsDiffer: true, equal: false })
    expect(unequal(tables)).toEqual(['public.diagnosis', 'public.drug'])
  })

  test('a database without any of the tables is equal in none', async () => {
    const url = await server.createDatabase('empty')

    expect(unequal(await proveAgainst(url))).toHaveLength(manifest.tables.length)
  })
})
