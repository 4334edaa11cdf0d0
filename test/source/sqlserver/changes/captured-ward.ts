/** A ward on the model of `cdc-model.ts`, with real sessions, segments, folding and hand-over, in memory. */
import { setTimeout } from 'node:timers/promises'
import { expect } from 'vitest'
import type { CaptureEvent } from '../../../../src/backup/capture/events.ts'
import { runSession } from '../../../../src/backup/capture/run-session.ts'
import { type SnapshotReport, takeSnapshot } from '../../../../src/backup/snapshot.ts'
import type { PatientLayout } from '../../../../src/intake/table-plan.ts'
import { listLogs } from '../../../../src/repository/change-log/log-start.ts'
import type { Manifest } from '../../../../src/repository/manifest.ts'
import type { Repository } from '../../../../src/repository/repository.ts'
import type { ReadOptions, Source } from '../../../../src/source/contract.ts'
import { cdcChanges } from '../../../../src/source/sqlserver/changes/change-source.ts'
import { type LookAtRows, settledPosition, standingOf } from '../../../../src/source/sqlserver/changes/hand-over.ts'
import { FAST, until } from '../../../support/capture-rig.ts'
import { FakeSource, type FakeTable, InProcessPool } from '../../../support/fake-source.ts'
import type { MemoryStore } from '../../../support/memory-store.ts'
import { copyOf, makeSimRepository, type SimRepository } from '../../../support/sim-repository.ts'
import { CdcModel, FAST_PACE } from './cdc-model.ts'

export const TABLES = ['dbo.patient', 'dbo.vital']
const layout: PatientLayout = {
  patient: { table: 'dbo.patient', key: 'id', label: [] },
  anchors: new Map([['dbo.vital', 'value']]),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}

export class Ward {
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

  get repository(): Repository {
    return this.#simulated.over(this.#simulated.store)
  }

  vital(...ids: string[]): bigint {
    return this.model.commit(...ids.map((id) => ({ kind: 'insert' as const, table: 'dbo.vital', id, value: '1' })))
  }

  start() {
    const events: CaptureEvent[] = []
    const stop = new AbortController()
    const ended = runSession(
      {
        repository: this.repository,
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
    const { repository } = this
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
    return (await listLogs(this.repository, 'icu')).logs
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
