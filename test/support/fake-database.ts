/**
 * A database that is a few lists of lines and a log of what was committed: what a change source tells of it can be cut,
 * repeated, lost and copied, without a server.
 *
 *     commit ─→ log ─→ streams of slots          Positions grow by 100 with each entry; 1 behind each commit record
 *           └─→ tables ─→ openRead               lies its end.
 */
import { Failure } from '../../src/errors.ts'
import { formatLsn } from '../../src/repository/lsn.ts'
import type {
  CapturedTransaction,
  CapturePlan,
  ChangeSource,
  ChangeStream,
  RowChange,
  SlotState,
  StreamEvent,
  StreamOptions,
  StreamTable,
} from '../../src/source/change-contract.ts'
import type { ConsistentRead, ReadOptions, SchemaInfo, Source, SourceIdentity } from '../../src/source/contract.ts'
import { FakeSource, type FakeTable } from './fake-source.ts'

export interface FakeChange {
  readonly kind: RowChange['kind']
  readonly table: string
  /** Lines. Of an update that keeps its key, `before` stays away. */
  readonly before?: string
  readonly after?: string
}

type Entry =
  | {
      readonly kind: 'transaction'
      readonly xid: number
      readonly lsn: bigint
      readonly timeUs: bigint
      readonly changes: readonly FakeChange[]
    }
  | { readonly kind: 'message'; readonly lsn: bigint }

interface Slot {
  confirmed: bigint
  active: boolean
  lost: boolean
}

const END = 1n
const STEP = 100n

export class FakeDatabase {
  identity: SourceIdentity
  tables: Record<string, FakeTable>
  readonly slots = new Map<string, Slot>()
  /** Bumped by whatever the stream does not tell (P2). */
  readonly definitions = new Map<string, number>()
  readonly unpublished = new Set<string>()
  forks: { timeline: number; forkLsn: bigint }[] = []
  /** Every confirmation that came, in order. */
  readonly confirmations: bigint[] = []
  /** Called at each step of a stream; what it throws ends the stream. */
  onDeliver: (lsn: bigint) => void = () => {}
  onFingerprint: () => void = () => {}
  limitBytes: bigint | null = null
  /** Committed, and not visible to a read yet, as while a commit waits for its standby (P3). Inserts only. */
  hidden: ReadonlySet<number> = new Set()
  /** What it says when it is asked for the time, in microseconds since 1970. */
  clockUs: bigint | null = null
  isDown = false
  /** The connection stands, and nothing comes over it. */
  isMute = false
  #entries: Entry[] = []
  #lsn = 0x1000000n
  #xid = 100
  #wake = Promise.withResolvers<void>()

  constructor(tables: Record<string, FakeTable>, identity: SourceIdentity) {
    this.tables = { ...tables }
    this.identity = identity
  }

  /** Of the last commit. */
  get xid(): number {
    return this.#xid
  }

  get lsn(): bigint {
    return this.#lsn
  }

  /** A copy of the data directory: equal in everything, from here on on its own. */
  clone(): FakeDatabase {
    const copy = new FakeDatabase(this.tables, this.identity)
    copy.#entries = [...this.#entries]
    copy.#lsn = this.#lsn
    copy.#xid = this.#xid
    for (const [name, slot] of this.slots) copy.slots.set(name, { ...slot, active: false })
    for (const [table, version] of this.definitions) copy.definitions.set(table, version)
    return copy
  }

  /** @returns where the commit ends: it begins 1 before */
  commit(...changes: FakeChange[]): bigint {
    for (const change of changes) this.#apply(change)
    this.#xid += 1
    this.#lsn += STEP
    const timeUs = 1_767_225_600_000_000n + BigInt(this.#xid) * 1000n
    this.#append({ kind: 'transaction', xid: this.#xid, lsn: this.#lsn, timeUs, changes })
    return this.#lsn
  }

  insert(table: string, ...lines: string[]): bigint {
    return this.commit(...lines.map((after) => ({ kind: 'insert' as const, table, after })))
  }

  /** Something that is not published moves the log on. */
  advance(bytes: bigint): void {
    this.#lsn += bytes
    this.#wakeAll()
  }

  /** Outside of the stream: rows change, and nothing tells of it. */
  redefine(table: string): void {
    this.definitions.set(table, (this.definitions.get(table) ?? 0) + 1)
  }

  requestSeal(): bigint {
    this.#lsn += STEP
    this.#append({ kind: 'message', lsn: this.#lsn })
    return this.#lsn
  }

  source(): Source & { readonly changes: ChangeSource } {
    if (this.isDown) throw new Failure('source-unreachable', 'the fake database is down')
    const fake = new FakeSource(this.tables)
    return {
      capabilities: fake.capabilities,
      profile: fake.profile,
      changes: this.#changeSource(),
      identify: async () => this.identity,
      introspect: (): Promise<SchemaInfo> => new FakeSource(this.tables).introspect(),
      openRead: (options: ReadOptions) => this.#openRead(options),
      [Symbol.asyncDispose]: async () => {},
    }
  }

  async #openRead({ tables }: ReadOptions): Promise<ConsistentRead> {
    const all = await new FakeSource(this.tables).introspect()
    const read = await new FakeSource(this.tables).openRead()
    const names = new Set(tables)
    // As PostgreSQL has it: xmax is behind the newest that has ended, and nothing from there on is in the list.
    let xmax = this.#xid + 1
    while (this.hidden.has(xmax - 1)) xmax -= 1
    const running = [...this.hidden].filter((xid) => xid < xmax)
    const visible = `${Math.min(xmax, ...running)}:${xmax}:${running.join(',')}`
    return {
      ...read,
      identity: this.identity,
      position: { lsn: formatLsn(this.#lsn), visible, sourceTime: '2026-01-02T00:00:00.000000Z' },
      schema: { ...all, tables: all.tables.filter(({ name }) => names.has(name)) },
      tableTickets: read.tableTickets.filter(({ name }) => names.has(name)),
    }
  }

  #changeSource(): ChangeSource {
    return {
      plan: async (tables) => this.#plan(tables),
      createSlot: async (slot) => {
        if (this.slots.has(slot)) throw new Failure('slot-exists', `slot ${slot} exists`)
        this.#lsn += STEP
        this.slots.set(slot, { confirmed: this.#lsn, active: false, lost: false })
        return { startLsn: this.#lsn, xidHorizon: String(this.#xid + 1) }
      },
      slotState: async (slot) => this.#slotState(slot),
      dropSlot: async (slot) => {
        this.slots.delete(slot)
      },
      openStream: async (options) => this.#openStream(options),
      fingerprint: async () => {
        if (this.isDown) throw new Failure('source-unreachable', 'the fake database is down')
        this.onFingerprint()
        const tables = new Map(Object.keys(this.tables).map((name) => [name, `${this.definitions.get(name) ?? 0}`]))
        return { digest: JSON.stringify([...tables]), tables, lsn: this.#lsn, timeUs: this.clockUs }
      },
      requestSeal: async () => this.requestSeal(),
      xidHorizon: async () => String(this.#xid + 1),
      timelines: async () => this.forks,
    }
  }

  #plan(tables: readonly string[]): CapturePlan {
    return {
      obstacle: null,
      dangers: [],
      tables: tables.map((table) => {
        const keyless = (this.tables[table]?.primaryKey.length ?? 0) === 0
        if (keyless || this.unpublished.has(table)) {
          const reason = keyless ? 'no primary key' : 'not published'
          return { table, resolution: 'snapshot', reason, remedySql: `ALTER TABLE ${table} …` }
        }
        return { table, resolution: 'transaction', reason: null, remedySql: null }
      }),
    }
  }

  #slotState(name: string): SlotState | null {
    const slot = this.slots.get(name)
    if (!slot) return null
    const retainedBytes = this.#lsn - slot.confirmed
    return {
      active: slot.active,
      walStatus: slot.lost ? 'lost' : 'reserved',
      confirmedLsn: slot.confirmed,
      retainedBytes,
      safeBytes: this.limitBytes === null ? null : this.limitBytes - retainedBytes,
      catalogXminAge: 1,
    }
  }

  #openStream(options: StreamOptions): ChangeStream {
    if (this.isDown) throw new Failure('source-unreachable', 'the fake database is down')
    const slot = this.slots.get(options.slot)
    if (!slot) throw new Failure('slot-missing', `slot ${options.slot} is not there`)
    if (slot.lost) throw new Failure('slot-lost', `slot ${options.slot} was lost`)
    if (slot.active) throw new Failure('slot-in-use', `slot ${options.slot} is in use`)
    slot.active = true
    return {
      identity: this.identity,
      events: () => this.#events(slot, options),
      confirm: (lsn) => {
        this.confirmations.push(lsn)
        slot.confirmed = lsn
      },
      [Symbol.asyncDispose]: async () => {
        slot.active = false
      },
    }
  }

  async *#events(slot: Slot, { signal, tables }: StreamOptions): AsyncGenerator<StreamEvent> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    let index = this.#entries.findIndex((entry) => entry.lsn >= slot.confirmed)
    if (index < 0) index = this.#entries.length
    let told = 0n
    for (;;) {
      signal.throwIfAborted()
      if (this.isDown) throw new Failure('source-unreachable', 'the fake database is down')
      const entry = this.isMute ? undefined : this.#entries[index]
      if (entry) {
        index += 1
        this.onDeliver(entry.lsn)
        if (entry.kind === 'message') yield { kind: 'seal-requested', lsn: entry.lsn + END }
        else if (this.#isTold(entry, tables)) yield { kind: 'transaction', transaction: this.#captured(entry, tables) }
        continue
      }
      if (this.#lsn > told && !this.isMute) {
        told = this.#lsn
        yield { kind: 'position', lsn: told }
        continue
      }
      await Promise.race([this.#wake.promise, aborted])
    }
  }

  #isTold(entry: Entry & { kind: 'transaction' }, tables: readonly string[]): boolean {
    return entry.changes.some(({ table }) => tables.includes(table) && !this.unpublished.has(table))
  }

  #captured(entry: Entry & { kind: 'transaction' }, tables: readonly string[]): CapturedTransaction {
    const told = entry.changes.filter(({ table }) => tables.includes(table) && !this.unpublished.has(table))
    const changes = told.map((change) => this.#rowChange(change))
    return {
      xid: entry.xid,
      commitLsn: entry.lsn,
      endLsn: entry.lsn + END,
      commitTimeUs: entry.timeUs,
      mark: null,
      changeCount: changes.length,
      textBytes: changes.reduce((sum, { after, before }) => sum + (after?.length ?? 0) + (before?.length ?? 0), 0),
      changes: batches(changes),
    }
  }

  #rowChange({ kind, table, before, after }: FakeChange): RowChange {
    const bytes = (line: string | undefined) => (line === undefined ? null : Buffer.from(line))
    return { kind, table: this.#streamTable(table), before: bytes(before), after: bytes(after) }
  }

  #streamTable(name: string): StreamTable {
    const { columns, primaryKey } = this.tables[name]!
    const oid = String(20_000 + Object.keys(this.tables).sort().indexOf(name))
    return { oid, name, columns, key: primaryKey.map((column) => columns.indexOf(column)) }
  }

  #apply({ kind, table: name, before, after }: FakeChange): void {
    const table = this.tables[name]!
    const keyOf = (line: string) =>
      table.primaryKey.map((column) => line.split('\t')[table.columns.indexOf(column)]).join('\t')
    let lines = kind === 'truncate' ? [] : [...table.lines]
    const gone = kind === 'update' ? (before ?? after) : before
    if (gone !== undefined) lines = lines.filter((line) => keyOf(line) !== keyOf(gone))
    if (after !== undefined) lines.push(after)
    this.tables = { ...this.tables, [name]: { ...table, lines } }
  }

  #append(entry: Entry): void {
    this.#entries.push(entry)
    this.#lsn += END
    this.#wakeAll()
  }

  #wakeAll(): void {
    const wake = this.#wake
    this.#wake = Promise.withResolvers()
    wake.resolve()
  }
}

async function* batches(changes: readonly RowChange[]): AsyncGenerator<readonly RowChange[]> {
  for (let start = 0; start < changes.length; start += 10) yield changes.slice(start, start + 10)
}
