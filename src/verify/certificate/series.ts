/**
 * Two signs of loss that no comparison of snapshots shows by itself: numbers that were given out and are not there, and
 * hours in which nothing arrived. Both are suspects and no proof: an insert that was rolled back leaves a hole, too, and a
 * patient in the theatre sends no values. What the baseline already had is told apart.
 */
import type { TableManifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import type { TreeEntry } from '../../repository/tree/node-codec.ts'
import { rowText } from '../../repository/tree/rows.ts'
import { locatorSpec } from '../../repository/tree/spec.ts'
import { TreeReader } from '../../repository/tree/tree-reader.ts'
import { textOfColumn } from './audit-entries.ts'
import type { RowObserver } from './balance.ts'
import { momentMs } from './months.ts'
import type { ExplainRules, SeriesRule } from './rules.ts'
import type { Period } from './steps.ts'
import { sharedColumns, type WalkedTable, walkTable } from './table-walk.ts'
import { logicalTables } from './tables.ts'

/** Of a table whose key is one whole number. */
export interface KeyHoles {
  readonly table: string
  readonly atBaseline: number
  /** Numbers of rows that were deleted in the period, and counted as such in the balance. */
  readonly byDeletion: number
  /** Holes of the period that no deletion made. */
  readonly suspect: number
}

export interface SeriesMonth {
  readonly table: string
  readonly month: string
  /** Intervals in which somebody lay in a bed. */
  expected: number
  found: number
  /** The baseline had none either. */
  missingAtBaseline: number
  /** The baseline had a value, and now there is none. */
  lost: number
  /** Behind the baseline: nothing is known to have been there. */
  suspect: number
}

const MINUTE_MS = 60_000

/** Null where the key is not one whole number, or there are no rows. @throws repository-damaged, store-… */
export async function keyHoles(
  repository: Repository,
  { before, after }: WalkedTable,
  { deletions, movedAway }: { readonly deletions: number; readonly movedAway: number },
): Promise<KeyHoles | null> {
  if (!before || !after) return null
  const [then, now] = [await keyRange(repository, before), await keyRange(repository, after)]
  if (!then || !now) return null
  const low = Math.min(then.low, now.low)
  const high = Math.max(then.high, now.high)
  const atBaseline = then.high - low + 1 - then.rows
  const atEnd = high - low + 1 - now.rows
  return {
    table: after.name,
    atBaseline,
    byDeletion: deletions,
    suspect: Math.max(0, atEnd - atBaseline - deletions - movedAway),
  }
}

/** By the tree that has the primary key in front, so that its first and its last row have the ends. */
async function keyRange(repository: Repository, table: TableManifest) {
  const spec = tableSpec(table)
  const located = locatorSpec(spec)
  const [tree, root] = located && table.locator ? [located, table.locator] : [spec, table.rows]
  if (spec.key.length !== 1 || root.rows === 0 || (tree === spec && spec.anchor !== null)) return null
  const reader = new TreeReader(tree, repository.chunkReader(), repository.keyring.secrets)
  const ends: TreeEntry[] = []
  for await (const entry of reader.leafEntries(root)) ends.splice(1, ends.length === 0 ? 0 : 1, entry)
  const first = await reader.readLeaf(ends[0]!)
  const last = await reader.readLeaf(ends.at(-1)!)
  const field = (text: Buffer) => text.toString('latin1').slice(0, -1).split('\t')[tree.key[0]!]!
  const [low, high] = [field(rowText(first, 0)), field(rowText(last, last.count - 1))].map(wholeNumber)
  return low == null || high == null ? null : { low, high, rows: root.rows }
}

function wholeNumber(text: string): number | null {
  const number = Number(text)
  return /^(0|[1-9]\d*)$/.test(text) && Number.isSafeInteger(number) ? number : null
}

interface Stay {
  readonly startMs: number
  /** Of the last moment known: its end, or that of the snapshot. */
  readonly endMs: number
}

/** Which intervals of which stays have a value. */
export class SeriesWatch {
  readonly rule: SeriesRule
  readonly #rules: ExplainRules
  readonly #stays: ReadonlyMap<string, Stay>
  /** By stay: a bit for each of its intervals. */
  readonly #seen = { baseline: new Map<string, Uint8Array>(), end: new Map<string, Uint8Array>() }
  readonly #baselineMs: number

  private constructor(rule: SeriesRule, rules: ExplainRules, stays: ReadonlyMap<string, Stay>, baselineMs: number) {
    this.rule = rule
    this.#rules = rules
    this.#stays = stays
    this.#baselineMs = baselineMs
  }

  /** @throws repository-damaged, object-missing, store-… */
  static async open(
    repository: Repository,
    period: Period,
    rule: SeriesRule,
    rules: ExplainRules,
  ): Promise<SeriesWatch> {
    const stays = new Map<string, Stay>()
    const endMs = period.steps.at(-1)!.untilUs / 1000
    for (const table of logicalTables(period, rule.stays.table)) {
      const columns = sharedColumns(table)
      const moment = momentReader(table.after ?? table.before!, columns, rules)
      const note = (line: Buffer) => {
        const key = textOfColumn(columns, line, rule.stays.key)
        const start = moment(line, rule.stays.start)
        if (key !== null && start !== null) {
          stays.set(key, { startMs: start, endMs: Math.min(moment(line, rule.stays.end) ?? endMs, endMs) })
        }
      }
      await walkTable(repository, period.steps, table, { onBaseline: note, onEnd: note, onChange: () => {} })
    }
    return new SeriesWatch(rule, rules, stays, period.steps[0]!.fromUs / 1000)
  }

  /** For the walk through a part of the series. */
  observer(table: WalkedTable): RowObserver {
    const columns = sharedColumns(table)
    const moment = momentReader((table.after ?? table.before)!, columns, this.#rules)
    return (side, line) => {
      const stay = textOfColumn(columns, line, this.rule.stays.key)
      const ms = moment(line, this.rule.time)
      if (stay !== null && ms !== null) this.#see(side, stay, this.#interval(ms))
    }
  }

  /** A value outside its stay is none of the series. */
  #see(side: 'baseline' | 'end', key: string, interval: number): void {
    const stay = this.#stays.get(key)
    if (!stay) return
    const first = this.#interval(stay.startMs)
    const intervals = Math.max(0, this.#interval(stay.endMs) - first + 1)
    const place = interval - first
    if (place < 0 || place >= intervals) return
    const bits = this.#seen[side].get(key) ?? new Uint8Array((intervals + 7) >> 3)
    this.#seen[side].set(key, bits)
    bits[place >> 3]! |= 1 << (place & 7)
  }

  #hasSeen(side: 'baseline' | 'end', key: string, place: number): boolean {
    return ((this.#seen[side].get(key)?.[place >> 3] ?? 0) & (1 << (place & 7))) !== 0
  }

  months(): SeriesMonth[] {
    const months = new Map<string, SeriesMonth>()
    for (const [key, { startMs, endMs }] of this.#stays) {
      const first = this.#interval(startMs)
      const last = this.#interval(endMs)
      // The first and the last interval are not whole: nothing need have arrived in them.
      for (let at = first + 1; at < last; at += 1) this.#count(months, { key, at, place: at - first })
    }
    return [...months.values()].sort((a, b) => (a.month < b.month ? -1 : 1))
  }

  #count(months: Map<string, SeriesMonth>, interval: { key: string; at: number; place: number }): void {
    const { intervalMinutes, table } = this.rule
    const ms = interval.at * intervalMinutes * MINUTE_MS
    const month = new Date(ms + this.#rules.utcOffsetMinutes * MINUTE_MS).toISOString().slice(0, 7)
    const known = months.get(month)
    const cell = known ?? { table, month, expected: 0, found: 0, missingAtBaseline: 0, lost: 0, suspect: 0 }
    months.set(month, cell)
    const { key, place } = interval
    cell.expected += 1
    if (this.#hasSeen('end', key, place)) cell.found += 1
    else if (this.#hasSeen('baseline', key, place)) cell.lost += 1
    else if (ms < this.#baselineMs) cell.missingAtBaseline += 1
    else cell.suspect += 1
  }

  #interval(ms: number): number {
    return Math.floor(ms / (this.rule.intervalMinutes * MINUTE_MS))
  }
}

function momentReader(table: TableManifest, columns: readonly string[], { utcOffsetMinutes }: ExplainRules) {
  const zones = new Set(
    table.columns.filter(({ type }) => /with time zone|^timestamptz/.test(type)).map(({ name }) => name),
  )
  return (line: Buffer, column: string): number | null => {
    const text = textOfColumn(columns, line, column)
    return text === null ? null : momentMs(text, zones.has(column), utcOffsetMinutes)
  }
}
