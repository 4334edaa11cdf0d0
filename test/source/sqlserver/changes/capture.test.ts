/**
 * Capture and backups of a SQL Server, from the change tables to the trees: real sessions, segments, folding and
 * hand-over, over the model of `cdc-model.ts`. The roots are held against those of a full read of the same rows.
 */
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { CaptureEvent } from '../../../../src/backup/capture/events.ts'
import { runSession } from '../../../../src/backup/capture/run-session.ts'
import { type SnapshotReport, takeSnapshot } from '../../../../src/backup/snapshot.ts'
import type { PatientLayout } from '../../../../src/intake/table-plan.ts'
import { listLogs } from '../../../../src/repository/change-log/log-start.ts'
import type { Manifest } from '../../../../src/repository/manifest.ts'
import type { ReadOptions, Source } from '../../../../src/source/contract.ts'
import { cdcChanges } from '../../../../src/source/sqlserver/changes/change-source.ts'
import { type LookAtRows, settledPosition, standingOf } from '../../../../src/source/sqlserver/changes/hand-over.ts'
import { FAST, until } from '../../../support/capture-rig.ts'
import { FakeSource, type FakeTable, InProcessPool } from '../../../support/fake-source.ts'
import type { MemoryStore } from '../../../support/memory-store.ts'
import { copyOf, makeSimRepository, type SimRepository } from '../../../support/sim-repository.ts'
import { CdcModel, FAST_PACE } from './cdc-model.ts'

const TABLES = ['dbo.patient', 'dbo.vital']
const layout: PatientLayout = {
  patient: { table: 'dbo.patient', key: 'id', label: [] },
  anchors: new Map([['dbo.vital', 'value']]),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}

class Ward {
  readonly model = new CdcModel(TABLES)
  /** Commits just before a snapshot begins, which does not see it yet. */
  commitsUnseen: () => void = () => {}
  #tables: Record<string, FakeTable> = {}
  #atMs = Date.UTC(2026, 0, 3)
  readonly #simulated: SimRepository

  constructor(simulated: SimRepository) {
    this.#simulated = simulated
    this.model.commit(
      ...['1', '2', '3'].map((id) => ({ kind: 'insert' as const, table: 'dbo.patient', id, value: `p${id}` })),
    )
  }

  static async make(): Promise<Ward> {
    return new Ward(await makeSimRepository())
  }

  vital(...ids: string[]): bigint {
    return this.model.commit(...ids.map((id) => ({ kind: 'insert' as const, table: 'dbo.vital', id, value: '1' })))
  }

  start() {
    const events: CaptureEvent[] = []
    const stop = new AbortController()
    const ended = runSession(
      {
        repository: this.#simulated.over(this.#simulated.store),
        sourceName: 'icu',
        openSource: async () => this.#source(),
        layout,
        slot: 'chartkeep_icu',
        settings: { ...FAST, sealMs: 5, progressMs: 10 },
        spillDirectory: '/nowhere',
        nowMs: () => performance.now(),
        sleep: async (ms, signal) => await setTimeout(ms, undefined, { signal, ref: false }),
        random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
        onEvent: (event) => events.push(event),
      },
      {
        fence: { token: 1, assertHeld: () => {} },
        breakReason: null,
        stop: stop.signal,
        abandon: new AbortController().signal,
        onConnected: () => {},
      },
    )
    ended.catch(() => {})
    return {
      events,
      ended,
      connected: async () => await until(() => events.some(({ kind }) => kind === 'connected')),
      stop: async () => {
        stop.abort(new Error('stopped by the test'))
        return await ended
      },
    }
  }

  async backUp(): Promise<SnapshotReport> {
    this.#atMs += 60_000
    const startMs = performance.now()
    const repository = this.#simulated.over(this.#simulated.store)
    return await takeSnapshot({
      sourceName: 'icu',
      source: this.#source(),
      layout,
      repository,
      pool: new InProcessPool(this.#tables, repository.store),
      signal: new AbortController().signal,
      nowMs: () => this.#atMs + performance.now() - startMs,
      sleep: async () => await setTimeout(2),
      onProgress: () => {},
    })
  }

  /** Against a full read of the rows that are visible where the snapshot stands. */
  async expectRows({ snapshot }: SnapshotReport): Promise<Manifest> {
    const repository = this.#simulated.over(copyOf(this.#simulated.store as MemoryStore))
    const { manifest } = await repository.readManifest(snapshot)
    const tables = fakeTables(this.model.rows)
    const full = await takeSnapshot({
      sourceName: 'full',
      source: new FakeSource(tables),
      layout,
      repository,
      pool: new InProcessPool(tables, repository.store),
      signal: new AbortController().signal,
      nowMs: () => this.#atMs,
      sleep: async () => {},
      onProgress: () => {},
    })
    const expected = (await repository.readManifest(full.snapshot)).manifest
    expect(rootsOf(manifest)).toEqual(rootsOf(expected))
    return manifest
  }

  async logs() {
    return (await listLogs(this.#simulated.over(this.#simulated.store), 'icu')).logs
  }

  #source(): Source {
    const fake = new FakeSource(fakeTables(this.model.rows))
    const introspect = async () => {
      const schema = await fake.introspect()
      const tables = schema.tables.map((table) => ({ ...table, oid: String(100 + TABLES.indexOf(table.name)) }))
      return { ...schema, tables }
    }
    return {
      capabilities: fake.capabilities,
      profile: fake.profile,
      changes: cdcChanges(async () => this.model.open(), { ...FAST_PACE, markLooks: 20 }),
      identify: async () => this.model.identity,
      introspect,
      openRead: (options) => this.#openRead(options, introspect),
      [Symbol.asyncDispose]: async () => {},
    }
  }

  async #openRead({ tables }: ReadOptions, introspect: () => ReturnType<FakeSource['introspect']>) {
    const questions = this.model.open()
    const followed = this.model.followed(...TABLES)
    const settled = (await settledPosition(questions, followed, FAST_PACE))!
    const seen = new Set(this.model.log.map(({ lsn }) => lsn))
    this.commitsUnseen()
    const rows = this.model.seenBy((lsn) => seen.has(lsn))
    const look: LookAtRows = async ({ table }, keys) => {
      const lines = rows.get(table.info.name) ?? new Map<string, string>()
      return new Map(keys.flatMap((key) => (lines.has(key) ? [[key, lines.get(key)!] as const] : [])))
    }
    const standing = standingOf({ questions, followed, settled, look, pace: { ...FAST_PACE, markLooks: 20 } })
    const lsn = await standing.catch(() => null)
    const schema = await introspect()
    const found = fakeTables(new Map(TABLES.map((name) => [name, rows.get(name) ?? new Map()])))
    for (const name of TABLES) this.#tables[name] = found[name]!
    const chosen = schema.tables.filter(({ name }) => tables.includes(name))
    const read = await new FakeSource(found).openRead()
    return {
      ...read,
      identity: this.model.identity,
      position: {
        lsn: `${((lsn ?? settled) >> 32n).toString(16)}/${((lsn ?? settled) & 0xffffffffn).toString(16)}`.toUpperCase(),
        visible: lsn === null ? '0:0:1' : `${lsn}:${lsn}:`,
        sourceTime: '2026-01-02T00:00:00.000000Z',
      },
      schema: { ...schema, tables: chosen },
      visibleTables: schema.tables,
      tableTickets: read.tableTickets.filter(({ name }) => tables.includes(name)),
    }
  }
}

function fakeTables(rows: ReadonlyMap<string, ReadonlyMap<string, string>>): Record<string, FakeTable> {
  return Object.fromEntries(
    TABLES.map((name) => {
      const lines = [...(rows.get(name) ?? [])].map(([id, line]) => (line.includes('\t') ? line : `${id}\t${line}`))
      return [name, { columns: ['id', 'value'], primaryKey: ['id'], lines }]
    }),
  )
}

function rootsOf({ tables }: Manifest): unknown {
  return tables.map(({ name, rows, locator }) => [name, rows.digest, rows.rows, locator?.digest ?? null])
}

describe('a backup beside the capture of a SQL Server', () => {
  it('stands in the log, and is carried on by what changed, again and again', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    expect(await ward.backUp()).toMatchObject({ mode: 'base', log: expect.anything() })

    for (const id of ['a', 'b', 'c']) {
      ward.vital(`${id}1`, `${id}2`)
      ward.model.commit(
        { kind: 'update', table: 'dbo.vital', id: `${id}1`, value: '2' },
        { kind: 'rekey', table: 'dbo.vital', id: `${id}2`, to: `${id}3` },
        { kind: 'delete', table: 'dbo.vital', id: `${id}3` },
      )
      const report = await ward.backUp()
      expect(report).toMatchObject({ mode: 'incremental', tablesRead: 0, tablesFolded: 2 })
      const manifest = await ward.expectRows(report)
      expect(manifest.position.visible).toMatch(/^(\d+):\1:$/)
    }
    expect(await session.stop()).toBe('stopped')
  })

  it('leaves what a snapshot did not see yet to the changes behind it (P3)', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    // Another instance, so that the table is read, and what the read does not see has to come from the log.
    ward.model.disable('dbo.vital')
    ward.model.enable('dbo.vital')
    ward.vital('7')
    expect(await session.ended).toBe('tables-changed')
    const next = ward.start()
    await next.connected()
    ward.commitsUnseen = () => {
      ward.vital(String(ward.model.log.length))
      ward.model.commit({ kind: 'update', table: 'dbo.patient', id: '1', value: `p${ward.model.log.length}` })
    }

    expect(await ward.backUp()).toMatchObject({ mode: 'incremental', tablesRead: 1, tablesFolded: 1 })
    ward.commitsUnseen = () => {}

    const report = await ward.backUp()
    expect(report).toMatchObject({ mode: 'incremental', tablesRead: 0 })
    await ward.expectRows(report)
    await next.stop()
  })

  it('goes on where it was after a pause, and sends nothing twice', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    ward.vital('1')
    await session.stop()
    ward.vital('2', '3')
    const next = ward.start()
    await next.connected()

    const report = await ward.backUp()
    expect(report).toMatchObject({ mode: 'incremental', changes: 3 })
    await ward.expectRows(report)
    expect(await ward.logs()).toHaveLength(1)
    await next.stop()
  })

  it.each([
    ['clean-up has overtaken it (F14)', (model: CdcModel) => model.cleanUp(1), /clean-up has removed changes/],
    ['the database was put back (P5)', (model: CdcModel) => putBack(model), /before the log's end/],
  ])('declares the gap and reads everything when %s', async (_, happens, reason) => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    for (const id of ['1', '2', '3']) ward.vital(id)
    await ward.backUp()
    await session.stop()
    for (const id of ['4', '5', '6']) ward.vital(id)
    happens(ward.model)
    const next = ward.start()
    await next.connected()
    const logs = await ward.logs()
    expect(logs).toHaveLength(2)
    expect(logs[1]!.previousLog?.reason).toMatch(reason)

    const report = await ward.backUp()
    expect(report.tablesFolded).toBe(0)
    await ward.expectRows(report)
    ward.vital('9')
    const after = await ward.backUp()
    expect(after.mode).toBe('incremental')
    await ward.expectRows(after)
    await next.stop()
  })

  it('reads a table whose instance was replaced, and goes on folding it (F9)', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    ward.model.disable('dbo.vital')
    ward.vital('4')
    ward.model.enable('dbo.vital')
    ward.model.commit({ kind: 'update', table: 'dbo.patient', id: '1', value: 'renamed' })
    expect(await session.ended).toBe('tables-changed')
    const next = ward.start()
    await next.connected()

    const reread = await ward.backUp()
    expect(reread).toMatchObject({ mode: 'incremental', tablesRead: 1, tablesFolded: 1 })
    await ward.expectRows(reread)
    ward.vital('5')
    const folded = await ward.backUp()
    expect(folded).toMatchObject({ mode: 'incremental', tablesRead: 0, tablesFolded: 2 })
    await ward.expectRows(folded)
    await next.stop()
  })

  it('reads everything while the capture job stands still, and says why (F9)', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    ward.model.captures = false
    ward.vital('4')

    const report = await ward.backUp()
    expect(report).toMatchObject({ mode: 'full-read', log: null, modeReason: expect.stringContaining('capture job') })
    await ward.expectRows(report)
    await session.stop().catch(() => {})
  })
})

/** To where it was when it had the patients only; then other rows are written. */
function putBack(model: CdcModel): void {
  model.restore(4, () => {
    model.rows = model.seenBy(() => true)
    for (const table of TABLES) if (!model.rows.has(table)) model.rows.set(table, new Map())
    for (const id of ['x', 'y', 'z', 'u', 'v', 'w', 'q']) {
      model.commit({ kind: 'insert', table: 'dbo.vital', id, value: '1' })
    }
  })
}
