/**
 * A source that is another one than yesterday, under its old name and address, on real servers: put back from a backup,
 * taken over by a standby, cloned, reloaded, dropped and made again (F10, F14, P5). Each is noticed and named, begins a
 * history beside the old one, and nothing is mixed: what is kept of the new one is compared with it row by row, and what
 * was kept of the old one stays.
 */
import { randomBytes } from 'node:crypto'
import { chmod, chown, cp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { takeSnapshot } from '../../src/backup/snapshot.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import { listLogs, openLog } from '../../src/repository/change-log/reader.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import { stateAt, theSnapshotItself } from '../../src/repository/state/state.ts'
import { resolveTarget } from '../../src/repository/state/target.ts'
import { isSameDatabase } from '../../src/source/identity.ts'
import { openSource } from '../../src/source/open.ts'
import { compareDatabase } from '../../src/verify/compare.ts'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { type CapturedDatabase, captureDatabase } from '../support/capture-by-hand.ts'
import { makeRepository, never, type TestRepository } from '../support/repository.ts'
import { check, errorsOf } from '../verify/verify-support.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const layout: PatientLayout = {
  patient: { table: 'public.patient', key: 'id', label: [] },
  anchors: new Map([['public.note', 'patient_id']]),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}
const WARD = [
  'CREATE TABLE patient (id bigint PRIMARY KEY)',
  'CREATE TABLE note (note_id integer PRIMARY KEY, patient_id bigint REFERENCES patient, body text)',
  'INSERT INTO patient SELECT generate_series(1, 5)',
  `INSERT INTO note SELECT n, 1 + n % 5, 'note ' || n FROM generate_series(1, 100) n`,
]
const PUBLISHED = ['patient', 'note']
const SETTINGS = { max_slot_wal_keep_size: '1GB' }

let made: TestRepository
let server: PostgresServer
let url: string
let captured: CapturedDatabase | null = null
const servers: PostgresServer[] = []

beforeEach(async () => {
  made = await makeRepository()
  server = await start()
  url = await server.createDatabase('icu')
  await runSql(url, ...WARD)
  captured = await captureDatabase({ made, url, layout, tables: PUBLISHED })
})

afterEach(async () => {
  await captured?.stop()
  captured = null
  for (const each of servers.splice(0)) await each[Symbol.asyncDispose]()
  await made[Symbol.asyncDispose]()
})

async function start(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
  const started = await startPostgres({ settings: { ...SETTINGS, ...settings } })
  servers.push(started)
  return started
}

interface Copy {
  readonly settings?: Readonly<Record<string, string>>
  /** As pg_basebackup leaves it: slots stay behind, and recovery begins a timeline. */
  readonly signal?: 'recovery.signal' | 'standby.signal'
}

/** A server on a copy of the files of `server`, which is stopped. Itself stopped. */
async function copyOfServer({ settings, signal }: Copy = {}): Promise<PostgresServer> {
  const copy = await start(settings)
  await copy.stop()
  const { dataDirectory } = copy
  const { uid, gid } = await stat(dataDirectory)
  await rm(dataDirectory, { recursive: true })
  await cp(server.dataDirectory, dataDirectory, { recursive: true, preserveTimestamps: true })
  if (signal) {
    const slots = join(dataDirectory, 'pg_replslot')
    for (const name of await readdir(slots)) await rm(join(slots, name), { recursive: true })
    await writeFile(join(dataDirectory, signal), '')
  }
  for (const name of ['.', ...(await readdir(dataDirectory, { recursive: true }))]) {
    await chown(join(dataDirectory, name), uid, gid)
  }
  await chmod(dataDirectory, 0o700)
  return copy
}

/** @param clockRate how much faster than others it thinks that time goes */
async function backUp(from: string, clockRate = 1): Promise<Manifest> {
  const startMs = Date.now()
  await using source = await openSource({ url: from })
  const { repository, pool } = made
  const { snapshot } = await takeSnapshot({
    ...{ sourceName: 'icu', source, layout, repository, pool, signal: never() },
    nowMs: () => startMs + clockRate * (Date.now() - startMs),
    sleep: async (ms) => {
      await pause(ms)
    },
    onProgress: () => {},
  })
  return (await repository.readManifest(snapshot)).manifest
}

/** Row for row, against what the database holds now. */
async function expectEqual(manifest: Manifest, database: string): Promise<void> {
  await using source = await openSource({ url: database })
  const { repository, pool } = made
  const state = theSnapshotItself(repository, manifest)
  const world = { pool, signal: never(), nowMs: Date.now }
  const result = await compareDatabase({ repository, source, state, expectSameHistory: true, ...world })
  expect([result.status, result.findings]).toEqual(['passed', []])
}

/** Notes as of a moment of what is kept. */
async function notesAt(at: string): Promise<number> {
  const { repository } = made
  const target = await resolveTarget({ repository, sourceName: 'icu', at })
  const world = { temporaryDirectory: tmpdir(), random: randomBytes, signal: never() }
  await using state = await stateAt(repository, target, world)
  return state.manifest.tables.find(({ name }) => name === 'public.note')?.rows.rows ?? -1
}

/** What the stream sends again may speak against a log only after it was taken up: then another one begins. */
async function captureFrom(database: string, leaseMs?: number): Promise<CapturedDatabase> {
  const lease = leaseMs === undefined ? {} : { leaseMs }
  captured = await captureDatabase({ made, url: database, layout, tables: PUBLISHED, isPublished: true, ...lease })
  await using source = await openSource({ url: database })
  const wanted = await source.changes!.requestSeal()
  for (let waited = 0; waited < 30_000; waited += 100) {
    const { logs } = await listLogs(made.repository, 'icu')
    const log = await openLog(made.repository, logs.at(-1)!.logId)
    const state = await source.changes!.slotState(logs.at(-1)!.slot)
    if (state?.active && isSameDatabase(log.start.source, await source.identify()) && (await log.end()) >= wanted) break
    await pause(100)
  }
  return captured
}

async function breakReason(): Promise<string> {
  const { logs } = await listLogs(made.repository, 'icu')
  return logs.at(-1)?.previousLog?.reason ?? ''
}

const write = async (database: string, from: number, to: number) =>
  await runSql(database, `INSERT INTO note SELECT n, 1 + n % 5, 'later' FROM generate_series(${from}, ${to}) n`)

async function clock(database: string): Promise<string> {
  await using client = await connectClient(database)
  const { rows } = await client.query('SELECT clock_timestamp() AS now')
  return (rows[0].now as Date).toISOString()
}

/** The newest history, from its first snapshot on: full, then carried on, both equal to the database. */
async function expectNewHistory(database: string, reason: RegExp): Promise<void> {
  await captureFrom(database)
  expect(await breakReason()).toMatch(reason)
  const first = await backUp(database)
  expect(first.mode).not.toBe('incremental')
  await expectEqual(first, database)
  await write(database, 9001, 9010)
  const second = await backUp(database)
  expect(second.mode).toBe('incremental')
  await expectEqual(second, database)
  expect(errorsOf(await check(made.repository))).toEqual([])
}

const addressOf = (of: PostgresServer) => of.url('icu')

describe('a source', () => {
  it('that was put back from a base backup goes on as another history, and what it lost is kept (F14)', async () => {
    await backUp(url)
    await captured!.stop()
    await server.stop()
    const restored = await copyOfServer({
      signal: 'recovery.signal',
      settings: { restore_command: 'false', hot_standby: 'off' },
    })
    await server.start()
    await captureFrom(url)
    await write(url, 101, 150)
    await captured!.caughtUp()
    const last = await backUp(url)
    const lostAt = last.snapshotId
    await captured!.stop()
    await server.stop()

    await restored.start()
    await write(addressOf(restored), 501, 503)
    const unfollowed = await backUp(addressOf(restored))

    expect(unfollowed).toMatchObject({ mode: 'full-read', log: null })
    expect(unfollowed.modeReason).toMatch(/slot .* is gone/)
    await expectEqual(unfollowed, addressOf(restored))
    await expectNewHistory(addressOf(restored), /timeline 1 to 2/)
    expect(await notesAt(lostAt)).toBe(150)
  })

  it('whose files were put back, with slot and timeline, is noticed when its positions overtake (F14)', async () => {
    await backUp(url)
    await captured!.stop()
    await server.stop()
    const copy = await copyOfServer()
    await server.start()
    await captureFrom(url)
    await write(url, 101, 110)
    await captured!.caughtUp()
    const moment = await clock(url)
    await captured!.caughtUp()
    await captured!.stop()
    await server.stop()

    await copy.start()
    await write(addressOf(copy), 301, 700)
    await expectNewHistory(addressOf(copy), /history|does not have the transaction|other changes|another transaction/)
    expect(await notesAt(moment)).toBe(110)
  })

  it('of which a standby took over is named, and what the old server alone had stays in the old log (F10)', async () => {
    await backUp(url)
    await captured!.stop()
    await server.stop()
    const settings = { primary_conninfo: `host=127.0.0.1 port=${server.port} user=postgres` }
    const standby = await copyOfServer({ signal: 'standby.signal', settings })
    await server.start()
    await standby.start()
    await captureFrom(url)
    await write(url, 101, 120)
    await captured!.caughtUp()
    await captured!.stop()
    await runSql(standby.url(), `SELECT pg_wal_replay_pause()`)
    await server.stop()
    await runSql(standby.url(), 'SELECT pg_wal_replay_resume()', 'SELECT pg_promote()')

    await write(addressOf(standby), 601, 605)
    await expectNewHistory(addressOf(standby), /another server took over.*timeline 1 to 2/)

    // The next start goes on in the log that the first one began, though its timeline is younger than the oldest snapshot's.
    const logsOf = async () => (await listLogs(made.repository, 'icu')).logs.map(({ logId }) => logId)
    const before = await logsOf()
    await captured!.stop()
    await standby.stop()
    await standby.start()
    await write(addressOf(standby), 701, 720)
    await captureFrom(addressOf(standby))
    expect(await logsOf()).toEqual(before)
    const carriedOn = await backUp(addressOf(standby))
    expect(carriedOn.mode).toBe('incremental')
    await expectEqual(carriedOn, addressOf(standby))
    expect(await notesAt('now')).toBe(120 + 5 + 10 + 20)
  })

  it('that was dropped and made again under its name is another database', async () => {
    await backUp(url)
    await captured!.stop()
    await runSql(server.url(), 'DROP DATABASE icu WITH (FORCE)').catch(async () => {
      await using source = await openSource({ url })
      for (const { slot } of (await listLogs(made.repository, 'icu')).logs) await source.changes!.dropSlot(slot)
      await runSql(server.url(), 'DROP DATABASE icu WITH (FORCE)')
    })
    await server.createDatabase('icu')
    await runSql(url, ...WARD, `CREATE PUBLICATION chartkeep FOR TABLE ${PUBLISHED.join(', ')}`)

    const first = await backUp(url)
    expect(first).toMatchObject({ mode: 'base', log: null })
    expect(first.modeReason).toBe('the source is another database than in every earlier snapshot of this name')
    await expectNewHistory(url, /another database/)
  })

  it('that was reloaded into a new server, as pg_upgrade and a dump do, is another database', async () => {
    const old = await backUp(url)
    await captured!.stop()
    const upgraded = await start()
    const reloaded = await upgraded.createDatabase('icu')
    await runSql(reloaded, ...WARD, `CREATE PUBLICATION chartkeep FOR TABLE ${PUBLISHED.join(', ')}`)

    const first = await backUp(reloaded)
    expect(first.mode).toBe('base')
    await expectNewHistory(reloaded, /another database/)
    expect(await notesAt(old.snapshotId)).toBe(100)
  })

  it('that was cloned: a snapshot of the clone takes no place in the log of the original (P5)', async () => {
    await backUp(url)
    await captured!.stop()
    await server.stop()
    const clone = await copyOfServer()
    await clone.start()
    await server.start()
    // Renewed every second, which the clock of the backup takes for eight.
    await captureFrom(url, 4_000)
    // The clone is ahead in everything that is counted, and has other rows.
    await write(addressOf(clone), 2001, 2400)
    await runSql(addressOf(clone), `UPDATE note SET body = 'of the clone' WHERE note_id <= 3`)
    // It waits for a capture that is alive elsewhere.
    const ofClone = await backUp(addressOf(clone), 8)

    expect(ofClone.mode).toBe('full-read')
    await expectEqual(ofClone, addressOf(clone))
    expect(ofClone.log).toBe(null)
    await write(url, 101, 110)
    const ofOriginal = await backUp(url)
    await expectEqual(ofOriginal, url)
  })

  it('that was cloned while nobody captured: the original is not folded onto the rows of the clone (P5)', async () => {
    await backUp(url)
    await captured!.stop()
    await server.stop()
    const clone = await copyOfServer()
    await clone.start()
    await write(addressOf(clone), 2001, 2020)
    for (let n = 1; n <= 10; n += 1)
      await runSql(addressOf(clone), `UPDATE note SET body = 'of the clone' WHERE note_id = ${n}`)
    await backUp(addressOf(clone))
    await server.start()
    // Fewer and larger: the same numbers stand for other transactions, at other positions.
    await write(url, 101, 4000)
    await captureFrom(url)

    await expect(notesAt('now')).rejects.toMatchObject({ code: 'history-differs' })
    await expectEqual(await backUp(url), url)
    expect(await notesAt('latest')).toBe(4000)
  })
})
