/** Months in which nothing changed stand together on paper, and no change is hidden among them. */
import { expect, it } from 'vitest'
import { sumOf } from '../../../src/verify/certificate/balance-lines.ts'
import type { BalanceLine } from '../../../src/verify/certificate/document.ts'
import { quietMonthsTogether } from '../../../src/verify/certificate/print/counts.ts'

it('joins three or more that follow each other in a category, and adds up to the same', () => {
  const lines = [
    ...months('a', ['2025-01', '2025-02', '2025-03']),
    { ...months('a', ['2025-04'])[0]!, updated: 1 },
    ...months('a', ['2025-05', '2025-06', 'baseline']),
    ...months('b', ['2025-01', '2025-03', '2025-09', '2026-01']),
    ...months('c', ['2025-01']),
  ]
  const shown = quietMonthsTogether(lines)
  expect(shown.map(({ category, month, now }) => `${category} ${month} ${now}`)).toEqual([
    'a 2025-01 – 2025-03 30',
    'a 2025-04 10',
    'a 2025-05 10',
    'a 2025-06 10',
    'a baseline 10',
    'b 2025-01 – 2026-01 40',
    'c 2025-01 10',
  ])
  expect(sumOf(shown)).toEqual(sumOf(lines))
})

it.each([
  'inserted',
  'updated',
  'deleted',
  'movedIn',
  'movedOut',
  'afterClosing',
] as const)('a month with rows %s stands by itself', (name) => {
  const [first, second, third] = months('a', ['2025-01', '2025-02', '2025-03'])
  expect(quietMonthsTogether([first!, { ...second!, [name]: 1 }, third!])).toHaveLength(3)
})

function months(category: string, names: readonly string[]): BalanceLine[] {
  return names.map((month) => ({ ...sumOf([]), category, month, baseline: 10, now: 10 }))
}
