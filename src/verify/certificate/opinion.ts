/**
 * The opinion, by rules that are written down; the first that holds decides how far it goes, and all that hold are named.
 *
 *     disclaimer 无法表示   balance-open: rows do not add up · not-comparable: a table's rows cannot be told apart
 *                          not-demonstrated: one of the four demonstrations was not carried out
 *     adverse    否定       demonstration-failed · unexplained-share: of a category, more than one row in a hundred
 *     qualified  保留       unexplained: any change · structure-lost: a table or column is gone
 *                          snapshot-missing: one in between cannot be read · no-drill: none in half a year passed
 *     unqualified 无保留    none of these
 *
 * Holes in numbers and hours without values are suspects, listed, and decide nothing.
 */
import {
  type BalanceLine,
  type Certificate,
  type Demonstration,
  type OpinionRule,
  STATEMENTS,
  type Statement,
  type Verdict,
} from './document.ts'

export type OpinionFacts = Pick<
  Certificate,
  'balance' | 'tables' | 'demonstrations' | 'drills' | 'issuedAt' | 'baseline' | 'end'
> & { readonly period: Pick<Certificate['period'], 'missing'> }

const VERDICT_OF: Readonly<Record<OpinionRule, Verdict>> = {
  'balance-open': 'disclaimer',
  'not-comparable': 'disclaimer',
  'not-demonstrated': 'disclaimer',
  'demonstration-failed': 'adverse',
  'unexplained-share': 'adverse',
  unexplained: 'qualified',
  'structure-lost': 'qualified',
  'snapshot-missing': 'qualified',
  'no-drill': 'qualified',
}
const UNEXPLAINED_SHARE_MAX = 0.01
const DRILL_DAYS_MAX = 183
const DAY_MS = 86_400_000

export function opinionOf(facts: OpinionFacts): Certificate['opinion'] {
  const { tables, demonstrations, period } = facts
  const holds: Readonly<Record<OpinionRule, boolean>> = {
    'balance-open': !balanceCloses(facts),
    'not-comparable': tables.some(({ isComparable }) => !isComparable),
    'not-demonstrated': !STATEMENTS.every((statement) => isDone(demonstrations, statement)),
    'demonstration-failed': demonstrations.some(({ failures }) => failures > 0),
    'unexplained-share': categoriesBeyondShare(facts.balance).length > 0,
    unexplained: facts.balance.some((line) => unexplainedOf(line) > 0),
    'structure-lost': tables.some(({ end, columnsGone }) => end === null || columnsGone.length > 0),
    'snapshot-missing': period.missing.length > 0,
    'no-drill': !hasDrill(facts),
  }
  const because = (Object.keys(VERDICT_OF) as OpinionRule[]).filter((rule) => holds[rule])
  return { verdict: because.length === 0 ? 'unqualified' : VERDICT_OF[because[0]!], because }
}

function isDone(demonstrations: readonly Demonstration[], wanted: Statement): boolean {
  const own = demonstrations.filter(({ statement }) => statement === wanted)
  return own.length > 0 && own.every((each) => each.isDone)
}

export function unexplainedOf(line: BalanceLine): number {
  return line.updatedUnexplained + line.deletedUnexplained
}

/** Every line by itself, and all of a table against the rows that its roots prove. */
function balanceCloses({ balance, tables, baseline, end }: OpinionFacts): boolean {
  const isClosed = (line: BalanceLine) =>
    line.now === line.baseline + line.inserted - line.deleted + line.movedIn - line.movedOut
  if (!balance.every(isClosed)) return false
  const names = new Set(tables.map(({ countedAs }) => countedAs))
  for (const name of names) {
    const parts = tables.filter((table) => table.countedAs === name && table.isComparable)
    const lines = balance.filter(({ table }) => table === name)
    if (sum(lines, 'baseline') !== total(parts.map((part) => part.baseline?.rows ?? 0))) return false
    if (sum(lines, 'now') !== total(parts.map((part) => part.end?.rows ?? 0))) return false
  }
  const ofRoots = (side: 'baseline' | 'end') => total(tables.map((table) => table[side]?.rows ?? 0))
  return ofRoots('baseline') === baseline.rows && ofRoots('end') === end.rows
}

function categoriesBeyondShare(balance: readonly BalanceLine[]): string[] {
  return [...new Set(balance.map(({ category }) => category))].filter((category) => {
    const lines = balance.filter((line) => line.category === category)
    return total(lines.map(unexplainedOf)) > UNEXPLAINED_SHARE_MAX * sum(lines, 'baseline')
  })
}

function hasDrill({ drills, issuedAt }: OpinionFacts): boolean {
  const oldestMs = Date.parse(issuedAt) - DRILL_DAYS_MAX * DAY_MS
  return drills.some(({ passed, endedAt }) => passed && Date.parse(endedAt) >= oldestMs)
}

function sum(lines: readonly BalanceLine[], name: 'baseline' | 'now'): number {
  return total(lines.map((line) => line[name]))
}

function total(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0)
}
