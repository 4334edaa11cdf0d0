/**
 * Which records were closed when: stays that ended, documents that were archived. What was closed at the baseline is
 * closed from the beginning. What is closed later is closed by the commit that said so, and not by the time that it says:
 * the hospital's clock and the database's are two.
 */
import type { Manifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { textOfColumn } from './audit-entries.ts'
import { momentMs } from './months.ts'
import { commitUsOf, type Period } from './period-times.ts'
import type { ClosedRule, ExplainRules } from './rules.ts'
import { type ChangeMoment, type RowChange, sharedColumns, walkTable } from './table-walk.ts'
import { logicalTables } from './tables.ts'

interface Closing {
  readonly us: number
  /** Null: at the baseline or before. */
  readonly at: ChangeMoment | null
}

interface RuleRecords {
  readonly rule: ClosedRule
  readonly closings: ReadonlyMap<string, Closing>
}

export class ClosedRecords {
  readonly #period: Period
  readonly #rules: readonly RuleRecords[]

  private constructor(period: Period, rules: readonly RuleRecords[]) {
    this.#period = period
    this.#rules = rules
  }

  /** @throws repository-damaged, object-missing, store-… */
  static async read(repository: Repository, period: Period, rules: ExplainRules): Promise<ClosedRecords> {
    const read: RuleRecords[] = []
    for (const rule of rules.closed) read.push({ rule, closings: await readClosings(repository, period, rule, rules) })
    return new ClosedRecords(period, read)
  }

  /** Whether the row's record was closed before the change, and its time of grace over. */
  isAfterClosing(columns: readonly string[], { before, at }: Pick<RowChange, 'before' | 'at'>): boolean {
    if (before === null) return false
    return this.#rules.some(({ rule, closings }) => {
      const key = textOfColumn(columns, before, rule.key)
      const closing = key === null ? undefined : closings.get(key)
      return closing !== undefined && isBehind(this.#period, closing, at, rule.graceHours)
    })
  }
}

function isBehind(period: Period, closing: Closing, at: ChangeMoment | null, graceHours: number): boolean {
  const openUntilUs = closing.us + graceHours * 3600e6
  if (at === null) return closing.at === null && openUntilUs <= period.steps[0]!.fromUs
  const isSame = closing.at !== null && closing.at.step === at.step && closing.at.transaction === at.transaction
  return !isSame && commitUsOf(period, at) > openUntilUs
}

async function readClosings(
  repository: Repository,
  period: Period,
  rule: ClosedRule,
  { utcOffsetMinutes }: ExplainRules,
): Promise<Map<string, Closing>> {
  const closings = new Map<string, Closing>()
  const baselineUs = period.steps[0]!.fromUs
  for (const table of logicalTables(period, rule.table)) {
    const columns = sharedColumns(table)
    const hasZone = hasZoneIn(table.after ?? table.before, rule.column)
    const note = (line: Buffer, at: ChangeMoment | null, commitUs: number | null) => {
      const said = textOfColumn(columns, line, rule.column)
      const key = textOfColumn(columns, line, rule.key)
      const isClosed = rule.equals === null ? said !== '' : said === rule.equals
      if (!isClosed || said === null || key === null || closings.has(key)) return
      const saidMs = rule.equals === null ? momentMs(said, hasZone, utcOffsetMinutes) : null
      const us = commitUs ?? Math.min(baselineUs, saidMs === null ? baselineUs : saidMs * 1000)
      closings.set(key, { us, at })
    }
    await walkTable(repository, period.steps, table, {
      onBaseline: (line) => note(line, null, null),
      onChange: ({ after, at }) => {
        if (after) note(after, at, at ? commitUsOf(period, at) : period.steps.at(-1)!.untilUs)
      },
    })
  }
  return closings
}

function hasZoneIn(table: Manifest['tables'][number] | null, column: string): boolean {
  const type = table?.columns.find(({ name }) => name === column)?.type ?? ''
  return /with time zone|^timestamptz/.test(type)
}
