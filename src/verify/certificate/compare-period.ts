/**
 * The period as a whole: every table walked, every change explained or not. The snapshots and the log between them are
 * all that is asked; the database may be whatever it likes.
 */
import type { Repository } from '../../repository/repository.ts'
import { AuditEntries, textOfColumn } from './audit-entries.ts'
import { TableBalance, type TableFacts } from './balance.ts'
import { ClosedRecords } from './closed-records.ts'
import { Explainer, type KnownChangeset, knownChangesets } from './explain.ts'
import { type ClockColumn, clockColumn, momentMs } from './months.ts'
import { readPartMoves } from './part-moves.ts'
import { commitUsOf, spanOf } from './period-times.ts'
import type { ExplainRules } from './rules.ts'
import { type KeyHoles, keyHoles, type SeriesMonth, SeriesWatch } from './series.ts'
import { type Period, toldTable } from './steps.ts'
import { sharedColumns, type WalkedTable, walkTable } from './table-walk.ts'
import { isComparable, logicalTables, tableName, tablesOf } from './tables.ts'

export interface ComparedTable extends WalkedTable {
  readonly name: string
  /** Null where its key or anchor is another now, so that rows cannot be told apart. */
  readonly balance: TableBalance | null
  /** Every change of it stands in the change log with its transaction. */
  readonly isTold: boolean
  readonly keyHoles: KeyHoles | null
  readonly columnsGone: readonly string[]
  readonly columnsNew: readonly string[]
}

export interface ComparedPeriod {
  readonly period: Period
  readonly tables: readonly ComparedTable[]
  readonly series: readonly SeriesMonth[]
  readonly changesets: readonly KnownChangeset[]
}

export interface ComparePeriodOptions {
  readonly rules: ExplainRules
  readonly signal: AbortSignal
  readonly onTable: (table: string) => void
}

/** @throws repository-damaged, object-missing, store-…: where one row cannot be read there is no balance */
export async function comparePeriod(
  repository: Repository,
  period: Period,
  { rules, signal, onTable }: ComparePeriodOptions,
): Promise<ComparedPeriod> {
  const explainer = new Explainer(period, rules, {
    audit: await auditEntries(repository, period, rules),
    closed: await ClosedRecords.read(repository, period, rules),
    changesets: await knownChangesets(repository, period),
  })
  const moves = await readPartMoves(repository, period)
  const watches: SeriesWatch[] = []
  for (const rule of rules.series) watches.push(await SeriesWatch.open(repository, period, rule, rules))
  const tables: ComparedTable[] = []
  for (const table of tablesOf(period)) {
    signal.throwIfAborted()
    onTable((table.after ?? table.before)!.name)
    const observers = watches
      .filter(({ rule }) => rule.table === tableName(table))
      .map((watch) => watch.observer(table))
    const facts = { period, rules, explainer, moves: moves.get(tableName(table)) ?? null }
    tables.push(await compareTable(repository, facts, table, observers))
  }
  const series = watches.flatMap((watch) => watch.months())
  return { period, tables, series, changesets: explainer.changesets }
}

async function compareTable(
  repository: Repository,
  facts: TableFacts,
  table: WalkedTable,
  observers: readonly ReturnType<SeriesWatch['observer']>[],
): Promise<ComparedTable> {
  const { name } = (table.after ?? table.before)!
  const { steps } = facts.period
  const common = { ...table, name, ...columnChanges(table) }
  if (!isComparable(table)) return { ...common, balance: null, isTold: false, keyHoles: null }
  const observe = observers.length === 0 ? null : observeAll(observers)
  const balance = new TableBalance(facts, table, observe)
  await walkTable(repository, steps, table, balance)
  const isTold = steps.every((step) => toldTable(step, name) !== null)
  return { ...common, balance, isTold, keyHoles: await keyHoles(repository, table, balance) }
}

function observeAll(observers: readonly ReturnType<SeriesWatch['observer']>[]): ReturnType<SeriesWatch['observer']> {
  return (side, line) => {
    for (const observe of observers) observe(side, line)
  }
}

function columnChanges({ before, after }: WalkedTable) {
  const names = (table: WalkedTable['before']) => table?.columns.map(({ name }) => name) ?? []
  if (!before || !after) return { columnsGone: [], columnsNew: [] }
  return {
    columnsGone: names(before).filter((name) => !names(after).includes(name)),
    columnsNew: names(after).filter((name) => !names(before).includes(name)),
  }
}

async function auditEntries(repository: Repository, period: Period, rules: ExplainRules): Promise<AuditEntries | null> {
  const { audit } = rules
  if (!audit) return null
  const entries = new AuditEntries(audit)
  for (const table of logicalTables(period, audit.table)) {
    const columns = sharedColumns(table)
    const clock = clockColumn((table.after ?? table.before)!, { ...rules, times: new Map([[audit.table, audit.time]]) })
    await walkTable(repository, period.steps, table, {
      onChange: ({ kind, after, at }) => {
        if (kind !== 'insert') return
        const timeUs = at
          ? commitUsOf(period, at)
          : saidUs(period, clock, textOfColumn(columns, after!, audit.time), rules)
        entries.add(columns, after!, { at, timeUs })
      },
    })
  }
  return entries
}

/** What an entry says of itself, within the period: it was not there before, whatever it says. */
function saidUs(period: Period, clock: ClockColumn | null, said: string | null, rules: ExplainRules): number {
  const { fromUs, untilUs } = spanOf(period, null)
  const ms = momentMs(said ?? '', clock?.hasZone ?? true, rules.utcOffsetMinutes)
  return Math.min(untilUs, Math.max(fromUs, ms === null ? untilUs : ms * 1000))
}
