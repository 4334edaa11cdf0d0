/**
 * A database with Change Tracking as learn.microsoft.com describes it ("Work with change tracking", "Manage change
 * tracking", "CHANGETABLE"), where the pages leave a choice the one that is worse for us:
 *
 *     commit ─→ version ─→ side table of each tracked table: (version, key)      clean-up takes away what is below a version
 *                    └─→ begin and minimum valid version: of tracking, of TRUNCATE, of clean-up
 *
 * A snapshot sees rows as of its beginning, and no later version; clean-up, and what begins anew, it sees at once.
 */
import { Failure } from '../../../../src/errors.ts'
import type { ConsistentRead, ReadOptions, Source, SourceIdentity } from '../../../../src/source/contract.ts'
import type { NetRow } from '../../../../src/source/net-contract.ts'
import type { CatalogTable } from '../../../../src/source/sqlserver/introspect.ts'
import { openNetChanges, prepareNetChanges, standingOf } from '../../../../src/source/sqlserver/tracking/net-changes.ts'
import type { Tracked, TrackingQuestions } from '../../../../src/source/sqlserver/tracking/questions.ts'
import { FakeSource, type FakeTable } from '../../../support/fake-source.ts'

interface SideRow {
  readonly version: bigint
  readonly key: string
}

interface Tracking {
  begin: bigint
  minValid: bigint
  side: SideRow[]
}

interface ModelTable {
  readonly columns: readonly string[]
  readonly isKeyed: boolean
  oid: number
  /** Of ALTER TABLE. */
  modified: number
  /** Any change of definition: a snapshot that began before cannot read the table (error 3961). */
  definitions: number
  /** By key as the collation compares it. */
  rows: Map<string, string>
  tracking: Tracking | null
}

export interface ModelChange {
  readonly table: string
  readonly key: string
  /** The whole line, or null to delete. Its key may be another: then the row moves. */
  readonly line: string | null
}

const IDENTITY: SourceIdentity = {
  engine: 'sqlserver',
  systemId: 'model',
  timeline: 1,
  databaseOid: 'model',
  databaseName: 'model',
  serverVersion: '15.0',
  serverVersionNumber: 1500,
  encoding: 'UTF8',
}

export class TrackingModel {
  /** What a pool reads: rows as of the last read that was opened. */
  readonly reading: Record<string, FakeTable> = {}
  /** Happens before each question, but before the first: other people's work beside ours. */
  meanwhile: (question: string) => void = () => {}
  /** Changes of which the side table says nothing: a fault of the server. */
  loses: (change: ModelChange) => boolean = () => false
  hasTracking = true
  /** By the server's clock, since the beginning. */
  days = 0
  #tables = new Map<string, ModelTable>()
  #version = 0n
  #oids = 1000
  #tokens = new Map<string, bigint | null>()
  #isSeenTracked = true
  #tokensLeft = 0
  #tellsFirstSpelling = false

  table(name: string, columns: readonly string[], options: { readonly isKeyed?: boolean } = {}): void {
    const { isKeyed = true } = options
    this.#oids += 1
    const parts = { oid: this.#oids, modified: 0, definitions: 0, rows: new Map<string, string>() }
    this.#tables.set(name, { ...parts, columns, isKeyed, tracking: null })
    if (isKeyed) this.track(name)
  }

  /** One transaction. What does not fit (a key that is there, a row that is not) is passed over. */
  commit(...changes: readonly ModelChange[]): void {
    const side: { tracking: Tracking; key: string }[] = []
    for (const change of changes) {
      const table = this.#table(change.table)
      const keys = apply(table, change)
      if (!table.tracking || this.loses(change)) continue
      for (const key of keys) side.push({ tracking: table.tracking, key })
    }
    if (side.length > 0) this.#version += 1n
    for (const { tracking, key } of side) tracking.side.push({ version: this.#version, key })
  }

  /** "the minimum valid version is updated"; no word of a version of its own. */
  truncate(name: string): void {
    const table = this.#table(name)
    table.rows = new Map()
    table.definitions += 1
    if (table.tracking) table.tracking = this.#anew()
  }

  /** Dropped and made again under its name, with its rows; tracked again. */
  recreate(name: string): void {
    const old = this.#table(name)
    this.#oids += 1
    this.#tables.set(name, { ...old, oid: this.#oids, rows: new Map(old.rows), tracking: old.tracking && this.#anew() })
  }

  /** ALTER COLUMN: rows become others, and "data type changes … are not tracked". */
  alter(name: string): void {
    const table = this.#table(name)
    table.modified += 1
    table.definitions += 1
    table.rows = new Map([...table.rows].map(([key, line]) => [key, `${line}'`]))
  }

  /** What the pages do not say changes `modify_date` does not. */
  untrack(name: string): void {
    this.#table(name).tracking = null
  }

  track(name: string): void {
    this.#table(name).tracking ??= this.#anew()
  }

  /** For the database: versions are counted from the beginning. */
  trackAllAnew(): void {
    const tracked = [...this.#tables.values()].filter(({ tracking }) => tracking !== null)
    this.#version = 0n
    for (const table of tracked) table.tracking = this.#anew()
    for (const token of this.#tokens.keys()) this.#tokens.set(token, null)
  }

  /** Of our own table alone. */
  untrackSeen(): void {
    this.#isSeenTracked = false
    for (const token of this.#tokens.keys()) this.#tokens.set(token, null)
  }

  trackSeen(): void {
    this.#isSeenTracked = true
  }

  /** Retention has passed what was done up to so many versions ago. @param only of one table, by hand */
  cleanUp(versionsKept = 0, only: string | null = null): void {
    const upTo = this.#version - BigInt(versionsKept)
    for (const [name, { tracking }] of this.#tables) {
      if (!tracking || (only !== null && only !== name)) continue
      tracking.side = tracking.side.filter(({ version }) => version > upTo)
      if (tracking.minValid < upTo) tracking.minValid = upTo
    }
    if (only !== null) return
    for (const [token, version] of this.#tokens) if (version !== null && version <= upTo) this.#tokens.set(token, null)
  }

  /** A backup of the database. */
  save(): () => void {
    const [tables, version, tokens] = [copyTables(this.#tables), this.#version, new Map(this.#tokens)]
    return () => {
      this.#tables = copyTables(tables)
      this.#version = version
      this.#tokens = new Map(tokens)
    }
  }

  /** Which one CHANGETABLE gives, of a key of which several spellings were written. */
  spell(first: boolean): void {
    this.#tellsFirstSpelling = first
  }

  lines(name: string): string[] {
    return [...this.#table(name).rows.values()]
  }

  names(): string[] {
    return [...this.#tables.keys()]
  }

  source(): Source {
    return {
      capabilities: { transactionalDdl: true, sharedSnapshot: false },
      profile: { containedShare: async () => null, looksUnique: async () => false },
      changes: null,
      identify: async () => IDENTITY,
      introspect: async () => await this.#introspect(this.#tables),
      openRead: async (options) => await this.#openRead(options),
      [Symbol.asyncDispose]: async () => {},
    }
  }

  /** In the order of `read.ts`. */
  async #openRead({ netChanges = false }: ReadOptions): Promise<ConsistentRead> {
    const snapshot = new Snapshot()
    const questions = this.#questions(snapshot)
    this.#tokensLeft += 1
    const token = this.#tokensLeft.toString(16).padStart(32, '0')
    const prepared = netChanges ? await prepareNetChanges(questions, token) : null
    this.meanwhile('begin')
    snapshot.begin(copyTables(this.#tables), this.#version, new Set(this.#tokens.keys()))
    const version = prepared && (await standingOf(questions, prepared))
    this.meanwhile('catalogs')
    for (const name of Object.keys(this.reading)) delete this.reading[name]
    Object.assign(this.reading, fakeTables(snapshot.tables))
    const schema = await this.#introspect(snapshot.tables)
    const read = await new FakeSource(this.reading).openRead()
    const catalog = schema.tables.map(catalogTable)
    const net = prepared && version !== null ? await openNetChanges(questions, { ...prepared, version }, catalog) : null
    return {
      ...read,
      identity: IDENTITY,
      position: { ...read.position, visible: `0:0:${this.#tokensLeft}`, sourceTime: timeAfter(this.days) },
      schema,
      visibleTables: schema.tables,
      ...(net && { netChanges: net }),
      readDdl: async () => {
        for (const [name, table] of snapshot.tables) this.#assertSame(name, table)
        return { origin: 'model', steps: [], notCarried: [] }
      },
    }
  }

  #questions(snapshot: Snapshot): TrackingQuestions {
    return {
      tracked: async () => {
        this.meanwhile('tracked')
        return this.hasTracking && this.#isSeenTracked ? this.#tracked() : null
      },
      leave: async (token) => {
        this.#version += 1n
        this.#tokens.set(token, this.#version)
      },
      reached: async (token) => {
        this.meanwhile('reached')
        return { isThere: snapshot.tokens.has(token), version: this.#tokens.get(token) ?? null }
      },
      minValid: async ({ info }) => {
        this.meanwhile('minValid')
        return this.#same(info.name, snapshot).tracking?.minValid ?? null
      },
      changes: (table, since) => this.#changes(table, { since, snapshot }),
      count: async ({ info }) => {
        this.#same(info.name, snapshot)
        return snapshot.tables.get(info.name)!.rows.size
      },
    }
  }

  async *#changes(
    { info }: CatalogTable,
    { since, snapshot }: { since: bigint; snapshot: Snapshot },
  ): AsyncGenerator<readonly NetRow[]> {
    this.meanwhile(`changes of ${info.name}`)
    const { tracking } = this.#same(info.name, snapshot)
    if (!tracking) throw new Failure('source-failed', 'Change Tracking is not enabled, error 22105')
    const told = new Map<string, string>()
    for (const { version, key } of tracking.side) {
      if (version <= since || version > snapshot.version) continue
      if (!told.has(compared(key)) || !this.#tellsFirstSpelling) told.set(compared(key), key)
    }
    for (const [id, key] of told) {
      const line = snapshot.tables.get(info.name)!.rows.get(id) ?? null
      yield [{ key: [Buffer.from(key)], line: line === null ? null : Buffer.from(line) }]
    }
    this.meanwhile('changes told')
  }

  #tracked(): Map<string, Tracked> {
    const tracked = [...this.#tables.values()].filter(({ tracking }) => tracking !== null)
    return new Map(
      tracked.map(({ oid, modified, tracking }) => {
        return [String(oid), { begin: tracking!.begin, created: '', modified: String(modified), storage: '' }]
      }),
    )
  }

  async #introspect(tables: ReadonlyMap<string, ModelTable>) {
    const schema = await new FakeSource(fakeTables(tables)).introspect()
    return { ...schema, tables: schema.tables.map((info) => ({ ...info, oid: String(tables.get(info.name)!.oid) })) }
  }

  /** The table as it is now, which the snapshot may look at. */
  #same(name: string, snapshot: Snapshot): ModelTable {
    return this.#assertSame(name, snapshot.tables.get(name)!)
  }

  #assertSame(name: string, before: ModelTable): ModelTable {
    const now = this.#tables.get(name)
    if (now && now.oid === before.oid && now.definitions === before.definitions) return now
    throw new Failure('schema-changed', `reading ${name}, error 3961`)
  }

  #anew(): Tracking {
    return { begin: this.#version, minValid: this.#version, side: [] }
  }

  #table(name: string): ModelTable {
    const table = this.#tables.get(name)
    if (!table) throw new Error(`the model has no table ${name}`)
    return table
  }
}

/** Begun once; empty before. */
class Snapshot {
  tables: ReadonlyMap<string, ModelTable> = new Map()
  version = 0n
  tokens: ReadonlySet<string> = new Set()

  begin(tables: ReadonlyMap<string, ModelTable>, version: bigint, tokens: ReadonlySet<string>): void {
    this.tables = tables
    this.version = version
    this.tokens = tokens
  }
}

/** @returns keys that the side table is told */
function apply(table: ModelTable, { key, line }: ModelChange): string[] {
  const was = table.rows.get(compared(key))
  if (line === null) return table.rows.delete(compared(key)) && was !== undefined ? [keyOf(was)] : []
  const next = table.isKeyed ? keyOf(line) : line
  const isMoved = compared(next) !== compared(key)
  if (isMoved && (was === undefined || table.rows.has(compared(next)))) return []
  if (isMoved) table.rows.delete(compared(key))
  table.rows.set(compared(next), line)
  // "If a primary key value changes, it is considered to be a delete of the old value and an insert of the new value."
  return was === undefined || keyOf(was) === next ? [next] : [keyOf(was), next]
}

/** By a collation that ignores case. */
function compared(key: string): string {
  return key.toLowerCase()
}

function keyOf(line: string): string {
  return line.split('\t')[0]!
}

function timeAfter(days: number): string {
  return new Date(Date.UTC(2026, 0, 2) + days * 86_400_000).toISOString().replace('Z', '000Z')
}

function copyTables(tables: ReadonlyMap<string, ModelTable>): Map<string, ModelTable> {
  return new Map(
    [...tables].map(([name, table]) => {
      const tracking = table.tracking && { ...table.tracking, side: [...table.tracking.side] }
      return [name, { ...table, rows: new Map(table.rows), tracking }]
    }),
  )
}

function fakeTables(tables: ReadonlyMap<string, ModelTable>): Record<string, FakeTable> {
  return Object.fromEntries(
    [...tables].map(([name, { columns, isKeyed, rows }]) => {
      return [name, { columns, primaryKey: isKeyed ? [columns[0]!] : [], lines: [...rows.values()] }]
    }),
  )
}

function catalogTable(info: CatalogTable['info']): CatalogTable {
  return { info, columns: [], captured: [] }
}
