/**
 * The application's own audit table, as far as it can account for changes: entries of the period, by the table that they
 * are about. Entries that only say that somebody looked are not kept.
 */
import { fieldOf } from '../../repository/fold/line-fields.ts'
import type { AuditRules, ChangeKind } from './rules.ts'
import type { ChangeMoment } from './table-walk.ts'

export interface AuditEntryFacts {
  readonly kinds: readonly ChangeKind[]
  readonly at: ChangeMoment | null
  /** Microseconds since 1970: of the commit where it is known, else what the entry says. */
  readonly timeUs: number
  readonly key: string
  readonly scope: string
}

export interface Sought {
  readonly table: string
  readonly kind: ChangeKind
  readonly at: ChangeMoment | null
  /** Where the commit is not known: between these two. */
  readonly fromUs: number
  readonly untilUs: number
  /** The primary key's fields, comma between. */
  readonly key: string
  /** Null where the row's table has no such column. */
  readonly scope: string | null
}

/** How firmly the entry is tied to the change. */
export type AuditMatch = 'transaction' | 'time' | 'period'

export class AuditEntries {
  readonly #rules: AuditRules
  /** By the changed table, then by scope; each in order of time. */
  readonly #byTable = new Map<string, Map<string, AuditEntryFacts[]>>()
  #sorted = true

  constructor(rules: AuditRules) {
    this.#rules = rules
  }

  /** A row that was inserted into the audit table. */
  add(
    columns: readonly string[],
    line: Buffer,
    moment: { readonly at: ChangeMoment | null; readonly timeUs: number },
  ): void {
    const text = (column: string | null) => textOfColumn(columns, line, column) ?? ''
    const { object, action, actions, key, scope, covers } = this.#rules
    const kinds = actions.get(text(action))
    if (!kinds || kinds.length === 0) return
    const entry = { kinds, ...moment, key: text(key), scope: text(scope) }
    const about = text(object)
    for (const name of [about, ...(covers.get(about) ?? [])]) this.#file(name, entry)
  }

  match(sought: Sought): AuditMatch | null {
    this.#sort()
    const byScope = this.#byTable.get(sought.table)
    if (!byScope) return null
    const lists = sought.scope === null ? [...byScope.values()] : [byScope.get(sought.scope), byScope.get('')]
    let best: AuditMatch | null = null
    for (const list of lists) {
      const found = list ? this.#matchIn(list, sought) : null
      if (found === 'transaction') return found
      best = best === 'time' ? best : (found ?? best)
    }
    return best
  }

  #matchIn(entries: readonly AuditEntryFacts[], sought: Sought): AuditMatch | null {
    const toleranceUs = this.#rules.toleranceSeconds * 1e6
    let best: AuditMatch | null = null
    const from = sought.fromUs - toleranceUs
    for (let index = firstFrom(entries, from); index < entries.length; index += 1) {
      const entry = entries[index]!
      if (entry.timeUs > sought.untilUs + toleranceUs) break
      if (!entry.kinds.includes(sought.kind)) continue
      if (entry.key !== '' && entry.key !== sought.key) continue
      if (isSameMoment(entry.at, sought.at)) return 'transaction'
      if (entry.at === null || sought.at === null) best ??= 'period'
      else if (toleranceUs > 0) best = 'time'
    }
    return best
  }

  #file(table: string, entry: AuditEntryFacts): void {
    const byScope = this.#byTable.get(table) ?? new Map<string, AuditEntryFacts[]>()
    this.#byTable.set(table, byScope)
    const list = byScope.get(entry.scope) ?? []
    byScope.set(entry.scope, list)
    list.push(entry)
    this.#sorted = false
  }

  #sort(): void {
    if (this.#sorted) return
    for (const byScope of this.#byTable.values()) {
      for (const list of byScope.values()) list.sort((a, b) => a.timeUs - b.timeUs)
    }
    this.#sorted = true
  }
}

/** A field as the application has it: NULL is nothing. Escapes stay: they are the same on both sides. */
export function valueText(field: Buffer): string {
  const text = field.toString('utf8')
  return text === '\\N' ? '' : text
}

/** Null where there is no such column. */
export function textOfColumn(columns: readonly string[], line: Buffer, column: string | null): string | null {
  const field = column === null ? -1 : columns.indexOf(column)
  return field < 0 ? null : valueText(fieldOf(line, field))
}

function isSameMoment(a: ChangeMoment | null, b: ChangeMoment | null): boolean {
  return a !== null && b !== null && a.step === b.step && a.transaction === b.transaction
}

function firstFrom(entries: readonly AuditEntryFacts[], timeUs: number): number {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (entries[middle]!.timeUs < timeUs) low = middle + 1
    else high = middle
  }
  return low
}
