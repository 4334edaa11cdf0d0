/** What a certificate declares, and the five statements with the numbers behind them. */
import { type Column, dataTable } from '../../report/blocks.ts'
import { formatCount } from '../../report/language.ts'
import type { PdfNode } from '../../report/pdf-node.ts'
import { fill } from '../../report/words.ts'
import { sumOf } from '../balance-lines.ts'
import type { Demonstration } from '../document.ts'
import { unexplainedOf } from '../opinion.ts'
import { type Paper, strong } from './paper.ts'
import { DECLARATION, NOT_EXAMINED, STATEMENT_WORDS } from './words.ts'

export function declaration(paper: Paper): string {
  const { opinion, system, baseline, end } = paper.certificate
  if (opinion.verdict === 'disclaimer') return NOT_EXAMINED[paper.language]
  const moments = { baseline: paper.moment(baseline.takenAt), end: paper.moment(end.takenAt) }
  return fill(DECLARATION[paper.language], { system, ...moments })
}

/** The five statements, as the field has them. */
export function statements(paper: Paper): PdfNode {
  const { balance, demonstrations } = paper.certificate
  const columns: Column[] = [
    { title: paper.word('statement'), width: '*' },
    paper.right('population'),
    paper.right('sample'),
    paper.right('failures'),
    paper.right('bound'),
  ]
  const total = sumOf(balance)
  const unexplained = formatCount(unexplainedOf(total))
  const rows = formatCount(total.baseline)
  const noLoss = [paper.word('noLoss'), rows, rows, strong(unexplainedOf(total)), unexplained]
  return dataTable(columns, [noLoss, ...demonstrations.map((one) => demonstration(paper, one))])
}

function demonstration(paper: Paper, one: Demonstration): (string | PdfNode)[] {
  const name = STATEMENT_WORDS[one.statement][paper.language]
  if (!one.isDone) return [name, '–', '–', '–', paper.word('inconclusive')]
  const share = one.population === 0 ? 0 : (100 * one.upperBound) / one.population
  const bound = `${formatCount(one.upperBound)} (${share.toFixed(share < 1 ? 2 : 1)} %)`
  return [name, formatCount(one.population), formatCount(one.sample), strong(one.failures), bound]
}
