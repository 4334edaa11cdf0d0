/** The counted pages: rows by category and month with what accounts for their changes, holes in keys, gaps in series. */
import { type Column, code, dataTable, heading, note, paragraph } from '../../report/blocks.ts'
import { formatCount } from '../../report/language.ts'
import type { PdfNode } from '../../report/pdf-node.ts'
import { fill } from '../../report/words.ts'
import { sumOf } from '../balance-lines.ts'
import type { BalanceLine } from '../document.ts'
import { BASELINE_MONTH } from '../months.ts'
import { unexplainedOf } from '../opinion.ts'
import { type Paper, strong } from './paper.ts'
import { REASON_WORDS } from './words.ts'

export function authenticity(paper: Paper): PdfNode[] {
  const { balance, reasons } = paper.certificate
  const lines = quietMonthsTogether(byCategory(balance))
  const columns: Column[] = [
    { title: paper.word('category'), width: '*' },
    { title: paper.word('month') },
    paper.right('baseline'),
    paper.right('inserted'),
    paper.right('updated'),
    paper.right('deleted'),
    paper.right('unexplained'),
    paper.right('rowsNow'),
  ]
  const cells = (line: BalanceLine) => [
    line.category,
    line.month === BASELINE_MONTH ? paper.word('baseline') : line.month,
    ...[line.baseline, line.inserted, line.updated, line.deleted].map(formatCount),
    strong(unexplainedOf(line)),
    formatCount(line.now),
  ]
  const total = { ...sumOf(balance), category: paper.word('total'), month: '' }
  const byReason = Object.keys(REASON_WORDS).flatMap((name) => {
    const changes = reasons.filter(({ reason }) => reason === name).reduce((sum, one) => sum + one.changes, 0)
    return changes === 0
      ? []
      : [[REASON_WORDS[name as keyof typeof REASON_WORDS][paper.language], formatCount(changes)]]
  })
  const closed = { count: formatCount(total.afterClosing), unexplained: formatCount(total.afterClosingUnexplained) }
  return [
    heading(paper.word('authenticity')),
    dataTable(columns, lines.map(cells), cells(total)),
    dataTable([{ title: paper.word('reason'), width: '*' }, paper.right('changes')], byReason),
    note(paper.word('quietMonths')),
    note(fill(paper.word('closed'), closed)),
  ]
}

export function completeness(paper: Paper): PdfNode[] {
  const { keyHoles, series } = paper.certificate
  const holes = keyHoles.map((one) => [
    code(one.table),
    formatCount(one.atBaseline),
    formatCount(one.byDeletion),
    strong(one.suspect),
  ])
  const months = series.map((one) => [
    code(one.table),
    one.month,
    ...[one.expected, one.found, one.missingAtBaseline].map(formatCount),
    strong(one.lost),
    strong(one.suspect),
  ])
  const table: Column = { title: paper.word('table'), width: '*' }
  return [
    heading(paper.word('completeness')),
    holes.length === 0
      ? paragraph(paper.word('noneCounted'))
      : dataTable([table, paper.right('holesThen'), paper.right('holesDeleted'), paper.right('holesSuspect')], holes),
    months.length === 0
      ? paragraph(paper.word('noSeries'))
      : dataTable(
          [
            table,
            { title: paper.word('month') },
            paper.right('expected'),
            paper.right('found'),
            paper.right('missingThen'),
            paper.right('lost'),
            paper.right('holesSuspect'),
          ],
          months,
        ),
  ]
}

function byCategory(balance: readonly BalanceLine[]): BalanceLine[] {
  const lines = new Map<string, BalanceLine[]>()
  for (const line of balance) {
    const id = `${line.category}\t${line.month}`
    lines.set(id, [...(lines.get(id) ?? []), line])
  }
  return [...lines.values()].map((group) => ({ ...sumOf(group), category: group[0]!.category, month: group[0]!.month }))
}

/** So many lines alike are no news: a table of codes, one made every few months, would fill pages. */
const QUIET_RUN_MIN = 3

/**
 * Lines of one category behind each other, of months in which nothing of it changed, as one: `2014-03 – 2026-01`. Each month
 * of each table has a line of its own in `tables.csv`.
 */
export function quietMonthsTogether(lines: readonly BalanceLine[]): BalanceLine[] {
  const runs: BalanceLine[][] = []
  for (const line of lines) {
    const run = runs.at(-1)
    const [first] = run ?? []
    if (run && first!.category === line.category && isQuiet(first!) && isQuiet(line)) run.push(line)
    else runs.push([line])
  }
  return runs.flatMap((run) => {
    if (run.length < QUIET_RUN_MIN) return run
    const month = `${run[0]!.month} – ${run.at(-1)!.month}`
    return [{ ...sumOf(run), category: run[0]!.category, month }]
  })
}

/** Of rows without a month of their own (`baseline`) nothing is said but that. */
function isQuiet(line: BalanceLine): boolean {
  const { inserted, updated, deleted, movedIn, movedOut, afterClosing } = line
  return /^\d/.test(line.month) && inserted + updated + deleted + movedIn + movedOut + afterClosing === 0
}
