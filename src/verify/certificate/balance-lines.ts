/** Lines of a balance, added up. */
import type { BalanceCell } from './balance.ts'
import type { BalanceLine } from './document.ts'

/** Of all, under no category, table and month of their own. */
export function sumOf(lines: readonly BalanceCell[]): BalanceLine {
  const sum = (name: keyof BalanceCell) => lines.reduce((total, line) => total + line[name], 0)
  return {
    category: '',
    table: '',
    month: '',
    baseline: sum('baseline'),
    inserted: sum('inserted'),
    updated: sum('updated'),
    updatedUnexplained: sum('updatedUnexplained'),
    deleted: sum('deleted'),
    deletedUnexplained: sum('deletedUnexplained'),
    movedIn: sum('movedIn'),
    movedOut: sum('movedOut'),
    now: sum('now'),
    afterClosing: sum('afterClosing'),
    afterClosingUnexplained: sum('afterClosingUnexplained'),
  }
}
