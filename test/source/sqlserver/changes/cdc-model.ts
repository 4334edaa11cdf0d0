/**
 * A model of a SQL Server with change data capture, as learn.microsoft.com describes it: what commits goes to a log; the
 * capture job takes it from there into change tables, a scan at a time and in commit order ("What is change data
 * capture (CDC)?"); clean-up takes away what is old and moves the low end of every instance ("… it adjusts the start_lsn
 * values for all capture instances"); an instance can be dropped and made anew; the database can be restored.
 *
 *     commit ─→ log ─→ scan ─→ change tables, lsn_time_mapping ─→ questions
 *           └→ rows ─→ snapshots, which may see commits in another order than they were logged
 */
import { Failure } from '../../../../src/errors.ts'
import type { SourceIdentity } from '../../../../src/source/contract.ts'
import { forkNumber } from '../../../../src/source/sqlserver/changes/fork.ts'
import { type CdcLsn, packLsn, unpackLsn } from '../../../../src/source/sqlserver/changes/lsn.ts'
import type { Pace } from '../../../../src/source/sqlserver/changes/pace.ts'
import type {
  CapturedRow,
  CaptureInstance,
  CdcFacts,
  CdcQuestions,
  CdcTable,
  Followed,
  PageQuestion,
  SlotRow,
} from '../../../../src/source/sqlserver/changes/questions.ts'
import type { CatalogColumn, CatalogTable } from '../../../../src/source/sqlserver/introspect.ts'

export const FAST_PACE: Pace = { pollMs: 1, markLooks: 200, settledSeconds: 0, pageRows: 3, heldChangesMax: 4 }

/** An edit of one row; rows are an `id` and a `value`. */
export type Edit =
  | { readonly kind: 'insert' | 'update'; readonly table: string; readonly id: string; readonly value: string }
  | { readonly kind: 'delete'; readonly table: string; readonly id: string }
  | { readonly kind: 'rekey'; readonly table: string; readonly id: string; readonly to: string }

interface ModelRow {
  readonly command: number
  readonly operation: number
  readonly fields: readonly string[]
}

export interface Committed {
  readonly lsn: CdcLsn
  readonly timeUs: bigint
  readonly rows: ReadonlyMap<string, readonly ModelRow[]>
  readonly token: string | null
}

interface Instance extends CaptureInstance {
  low: CdcLsn | null
  readonly rows: CapturedRow[]
  /** In the log: changes from here on are marked for capture. */
  readonly enabledAt: bigint
}

type Rows = Map<string, Map<string, string>>

const MARK = 'chartkeep.mark'
/** Records of the log lie this far apart. */
const STEP = 3n

export class CdcModel {
  fork = 'AAAAAAAA-0000-0000-0000-000000000000'
  firstFork = this.fork
  forkPoint: CdcLsn | null = null
  facts: CdcFacts = {
    edition: 'Developer Edition',
    hasCdc: true,
    isEnabled: true,
    hasAdr: false,
    isWritable: true,
    collation: 'Chinese_PRC_CI_AS',
    largeValueBytesMax: null,
    mayMark: true,
  }
  /** Whether a scan follows every commit; else somebody calls `scan`. */
  captures = true
  /** Called after each page, before anything is asked again (F15). */
  onPage: (question: PageQuestion) => void = () => {}
  log: Committed[] = []
  rows: Rows
  readonly slots = new Map<string, SlotRow>()
  instances: Instance[] = []
  readonly modified = new Map<string, number>()
  readonly #names: readonly string[]
  readonly #held = new Set<string>()
  #token = ''
  #scanned = 0
  #at = packLsn('0000002A0000013000F0')
  #mapped: Committed[] = []
  #changeTables = 9000

  constructor(names: readonly string[]) {
    this.#names = [...names, MARK]
    this.rows = new Map(names.map((name) => [name, new Map()]))
    for (const name of this.#names) this.enable(name)
    this.commitMark('first')
  }

  enable(name: string): void {
    this.#changeTables += 1
    this.instances.push({
      name: name.replace('.', '_'),
      changeTable: String(this.#changeTables),
      sourceTable: this.#oidOf(name),
      created: String(this.#changeTables),
      low: unpackLsn(this.#at),
      columns: columnsOf(name).map((column, index) => ({
        name: column.name,
        type: column.type.base,
        ordinal: index + 1,
      })),
      allowsSwitch: true,
      hasCommandId: true,
      rows: [],
      enabledAt: this.#at,
    })
  }

  disable(name: string): void {
    this.instances = this.instances.filter(({ sourceTable }) => sourceTable !== this.#oidOf(name))
  }

  /** `ALTER TABLE`, of which no change tells. */
  alter(name: string): void {
    this.modified.set(name, (this.modified.get(name) ?? 0) + 1)
  }

  /** As a restore of ours: a row of `chartkeep.mark`, put in and taken out before anything else (restore-mark.ts). */
  commitRestore(word: string, ...edits: Edit[]): bigint {
    return this.#commit(
      edits,
      [2, 1].map((operation) => ({ command: 0, operation, fields: ['77', word] })),
    )
  }

  /** @returns the position behind the commit */
  commit(...edits: Edit[]): bigint {
    return this.#commit(edits, [])
  }

  #commit(edits: readonly Edit[], ofMark: readonly ModelRow[]): bigint {
    const rows = new Map<string, ModelRow[]>()
    if (ofMark.length > 0) rows.set(MARK, [...ofMark])
    for (const [command, edit] of edits.entries()) {
      const made = rows.get(edit.table) ?? []
      rows.set(edit.table, made)
      made.push(...this.#apply(edit, command + 1))
    }
    return this.#append(rows, null)
  }

  commitMark(token: string): void {
    const halves = [3, 4].map((operation) => ({
      command: 1,
      operation,
      fields: ['1', operation === 3 ? this.#token : token],
    }))
    this.#token = token
    this.#append(new Map([[MARK, halves]]), token)
  }

  /** The capture job goes through the log, up to so many transactions. */
  scan(transactions = Number.POSITIVE_INFINITY): void {
    const end = Math.min(this.log.length, this.#scanned + transactions)
    for (; this.#scanned < end; this.#scanned += 1) this.#capture(this.log[this.#scanned]!)
  }

  /** Everything that committed before so many of the last transactions goes. */
  cleanUp(kept: number): void {
    const low = this.#mapped.at(-kept)?.lsn
    if (low === undefined) return
    for (const instance of this.instances) {
      if (instance.low === null || instance.low >= low) continue
      instance.low = low
      const left = instance.rows.filter(({ lsn }) => lsn >= low)
      instance.rows.splice(0, instance.rows.length, ...left)
    }
  }

  /** RESTORE of a backup that was made when the log had so many transactions, with KEEP_CDC. */
  restore(transactions: number, replay: () => void): void {
    this.log = this.log.slice(0, transactions)
    this.#mapped = this.#mapped.filter((entry) => this.log.includes(entry))
    this.#scanned = Math.min(this.#scanned, transactions)
    for (const instance of this.instances) {
      const left = instance.rows.filter(({ lsn }) => this.log.some((entry) => entry.lsn === lsn))
      instance.rows.splice(0, instance.rows.length, ...left)
    }
    this.forkPoint = this.log.at(-1)?.lsn ?? null
    this.firstFork = this.fork
    this.fork = 'BBBBBBBB-0000-0000-0000-000000000000'
    this.#at = packLsn(this.forkPoint ?? unpackLsn(0n))
    replay()
  }

  /** The rows as they are when only these transactions are seen. */
  seenBy(isSeen: (lsn: CdcLsn) => boolean, initial: Rows = new Map()): Rows {
    const rows: Rows = new Map([...initial].map(([name, lines]) => [name, new Map(lines)]))
    for (const { lsn, rows: made } of this.log) {
      if (!isSeen(lsn)) continue
      for (const [name, changes] of made) {
        const lines = rows.get(name) ?? new Map<string, string>()
        rows.set(name, lines)
        for (const { operation, fields } of changes) {
          if (operation === 1 || operation === 3) lines.delete(fields[0]!)
          else lines.set(fields[0]!, fields.join('\t'))
        }
      }
    }
    return rows
  }

  get identity(): SourceIdentity {
    return {
      engine: 'sqlserver',
      systemId: 'a model',
      timeline: forkNumber(this.fork),
      databaseOid: 'icu',
      databaseName: 'icu',
      serverVersion: '16.0.1000.6',
      serverVersionNumber: 1600,
      encoding: 'UTF8',
    }
  }

  followed(...names: string[]): Followed[] {
    return names.map((name) => ({
      table: this.#tableOf(name),
      instance: this.instances.find(({ sourceTable }) => sourceTable === this.#oidOf(name))!,
    }))
  }

  open(): CdcQuestions {
    const held = new Set<string>()
    return {
      identify: async () => this.identity,
      facts: async () => this.facts,
      tables: async () => this.#names.map((name) => this.#cdcTableOf(name)),
      instances: async () => {
        if (!this.facts.isEnabled) throw gone('cdc.change_tables')
        return this.instances.map((instance) => ({ ...instance }))
      },
      recovery: async () => ({ fork: this.fork, firstFork: this.firstFork, forkPoint: this.forkPoint }),
      nowUs: async () => timeOf(this.log.length),
      captured: async () => {
        if (!this.facts.isEnabled) throw gone('cdc.lsn_time_mapping')
        return this.#mapped.at(-1)?.lsn ?? null
      },
      span: async () => {
        const low = this.instances.map((instance) => instance.low ?? '').sort()[0] ?? ''
        const left = this.#mapped.filter(({ lsn }) => lsn >= low)
        const seconds = (entry: Committed | undefined) =>
          Number((timeOf(this.log.length) - (entry?.timeUs ?? 0n)) / 1_000_000n)
        return left.length === 0 ? null : { oldestSeconds: seconds(left[0]), newestSeconds: seconds(left.at(-1)) }
      },
      capturedBefore: async () => this.#mapped.at(-Math.min(this.#mapped.length, 4))?.lsn ?? null,
      page: async (question) => {
        const found = this.#page(question)
        this.onPage(question)
        return found
      },
      mark: async (token) => this.commitMark(token),
      markedAt: async (token) => this.#mapped.find((entry) => entry.token === token)?.lsn ?? null,
      readSlot: async (slot) => this.slots.get(slot) ?? null,
      createSlot: async (slot, row) => !this.slots.has(slot) && Boolean(this.slots.set(slot, row)),
      writeSlot: async (slot, row) => {
        if (this.slots.has(slot)) this.slots.set(slot, row)
      },
      dropSlot: async (slot) => {
        this.slots.delete(slot)
      },
      hold: async (slot) => {
        if (this.#held.has(slot)) return false
        this.#held.add(slot)
        held.add(slot)
        return true
      },
      isHeld: async (slot) => this.#held.has(slot),
      [Symbol.asyncDispose]: async () => {
        for (const slot of held) this.#held.delete(slot)
      },
    }
  }

  #apply(edit: Edit, command: number): ModelRow[] {
    const lines = this.rows.get(edit.table)!
    const before = [edit.id, lines.get(edit.id) ?? '']
    if (edit.kind === 'insert') {
      lines.set(edit.id, edit.value)
      return [{ command, operation: 2, fields: [edit.id, edit.value] }]
    }
    if (edit.kind === 'delete') {
      lines.delete(edit.id)
      return [{ command, operation: 1, fields: before }]
    }
    const after = edit.kind === 'rekey' ? [edit.to, before[1]!] : [edit.id, edit.value]
    lines.delete(edit.id)
    lines.set(after[0]!, after[1]!)
    return [
      { command, operation: 3, fields: before },
      { command, operation: 4, fields: after },
    ]
  }

  #append(rows: ReadonlyMap<string, readonly ModelRow[]>, token: string | null): bigint {
    this.#at += STEP
    const lsn = unpackLsn(this.#at)
    this.log.push({ lsn, timeUs: timeOf(this.log.length + 1), rows, token })
    if (this.captures) this.scan()
    return this.#at + 1n
  }

  #capture(entry: Committed): void {
    this.#mapped.push(entry)
    for (const [name, rows] of entry.rows) {
      for (const instance of this.instances) {
        if (instance.sourceTable !== this.#oidOf(name) || packLsn(entry.lsn) <= instance.enabledAt) continue
        for (const [number, { command, operation, fields }] of rows.entries()) {
          // Both halves of an update have one number; numbers of the log run against the commands on purpose.
          const seqval = unpackLsn(BigInt(90_000 - (operation === 4 ? number - 1 : number)))
          const { lsn, timeUs: commitTimeUs } = entry
          instance.rows.push({ lsn, command, seqval, operation, commitTimeUs, fields, unchanged: [], isBent: false })
        }
      }
    }
  }

  #page({ followed, from, to, after, limit }: PageQuestion): readonly CapturedRow[] {
    const instance = this.instances.find(({ name }) => name === followed.instance.name)
    if (!instance) throw gone(followed.instance.name)
    return instance.rows
      .filter(({ lsn }) => lsn >= from && lsn < to)
      .sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
      .filter((row) => after === null || orderOf(row) > orderOf(after))
      .slice(0, limit)
  }

  #cdcTableOf(name: string): CdcTable {
    return {
      table: this.#tableOf(name),
      created: '2026-01-01',
      modified: String(this.modified.get(name) ?? 0),
      storage: '1',
      isPartitioned: false,
    }
  }

  #oidOf(name: string): string {
    return String(100 + this.#names.indexOf(name))
  }

  #tableOf(name: string): CatalogTable {
    const columns = columnsOf(name)
    const [schema, table] = name.split('.')
    return {
      columns,
      captured: columns,
      info: {
        name,
        sqlName: `[${schema}].[${table}]`,
        oid: this.#oidOf(name),
        partitionOf: null,
        columns: columns.map((column) => ({ name: column.name, type: 'nvarchar(20)', notNull: true })),
        generatedColumns: [],
        primaryKey: ['id'],
        uniqueKeys: [],
        foreignKeys: [],
        unlogged: false,
        estimatedRows: 0,
        estimatedBytes: 0,
        comment: null,
      },
    }
  }
}

function columnsOf(name: string): CatalogColumn[] {
  return ['id', name === MARK ? 'token' : 'value'].map((column) => ({
    name: column,
    declared: 'nvarchar(20)',
    type: { base: 'nvarchar', maxLength: 40, precision: 0, scale: 0, collation: 'Chinese_PRC_CI_AS' },
    nullable: false,
    isIdentity: false,
    isComputed: false,
  }))
}

function orderOf({ lsn, command, seqval, operation }: Pick<CapturedRow, 'lsn' | 'command' | 'seqval' | 'operation'>) {
  return `${lsn} ${String(command).padStart(9, '0')} ${seqval} ${operation}`
}

export function timeOf(transaction: number): bigint {
  return 1_767_225_600_000_000n + BigInt(transaction) * 1_000_000n
}

function gone(what: string): Failure {
  return new Failure('object-missing-in-source', `invalid object name, error 208: ${what}`)
}
