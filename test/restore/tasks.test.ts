import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runTasks, type TableLocks, type Task } from '../../src/restore/tasks.ts'

const never = new AbortController().signal
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** As a server would have it: `any` is every table, of which there is at least one. */
function mayStandBeside(a: TableLocks | undefined, b: TableLocks | undefined): boolean {
  if (!a || !b) return true
  const tablesOf = ({ tables }: TableLocks) => (tables === 'any' ? ['a', 'b', 'c', 'another'] : tables)
  const common = tablesOf(a).filter((table) => tablesOf(b).includes(table))
  const isOpen = a.tables === 'any' || b.tables === 'any'
  return (a.areShared && b.areShared) || (common.length === 0 && !isOpen)
}

describe('tasks', () => {
  test('begin when what they stand on has ended, no more at once than there are lanes, and all of them', async () => {
    const shape = fc.record({
      lanes: fc.integer({ min: 1, max: 4 }),
      tasks: fc.array(
        fc.record({
          weight: fc.nat(9),
          turns: fc.nat(3),
          before: fc.array(fc.nat(), { maxLength: 3 }),
          locks: fc.option(
            fc.record({
              tables: fc.oneof(fc.constant('any' as const), fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 2 })),
              areShared: fc.boolean(),
            }),
            { nil: undefined },
          ),
        }),
        {
          maxLength: 12,
        },
      ),
    })
    await fc.assert(
      fc.asyncProperty(shape, async ({ lanes, tasks: drawn }) => {
        const ended = new Set<Task>()
        const running = new Set<Task>()
        const tasks: Task[] = []
        for (const [index, { weight, turns, before, locks }] of drawn.entries()) {
          const after = index === 0 ? [] : before.map((number) => tasks[number % index]!)
          const task: Task = {
            weight,
            after,
            ...(locks ? { locks } : {}),
            run: async () => {
              for (const other of running) expect(mayStandBeside(locks, other.locks)).toBe(true)
              running.add(task)
              expect(running.size).toBeLessThanOrEqual(lanes)
              expect(after.every((needed) => ended.has(needed))).toBe(true)
              for (let left = turns; left > 0; left -= 1) await turn()
              running.delete(task)
              ended.add(task)
            },
          }
          tasks.push(task)
        }
        await runTasks(tasks, lanes, never)
        expect(ended.size).toBe(drawn.length)
      }),
      { numRuns: 100 },
    )
  })

  test('that lead to the longest way are begun first', async () => {
    const begun: string[] = []
    const task = (name: string, weight: number, after: Task[] = []): Task => ({
      weight,
      after,
      run: async () => void begun.push(name),
    })
    const large = task('large rows', 10)
    const small = task('small rows', 4)
    await runTasks([small, task('index of small', 1, [small]), task('index of large', 6, [large]), large], 1, never)
    expect(begun).toEqual(['large rows', 'index of large', 'small rows', 'index of small'])
  })

  test('that would wait for a lock let others go first, and those that share one go together', async () => {
    const begun: string[] = []
    const ends = Promise.withResolvers<void>()
    const joined = Promise.withResolvers<void>()
    const task = (name: string, weight: number, areShared: boolean, run = async () => {}): Task => ({
      weight,
      after: [],
      locks: { tables: [name[0]!], areShared },
      run: async () => {
        begun.push(name)
        await run()
      },
    })
    const key = task('a key', 9, false, () => ends.promise)
    const last = task('b index', 1, true, async () => ends.resolve())
    const together = [
      task('a index', 8, true, () => joined.promise),
      task('a other index', 7, true, async () => joined.resolve()),
    ]
    await runTasks([key, ...together, last], 2, never)
    expect(begun).toEqual(['a key', 'b index', 'a index', 'a other index'])
  })

  test('that fail stop those that run and those to come, and the first failure is told', async () => {
    const begun: string[] = []
    const hanging: Task = {
      weight: 9,
      after: [],
      run: (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
    }
    const failing: Task = { weight: 8, after: [], run: () => Promise.reject(new Error('the first')) }
    const later: Task = { weight: 0, after: [failing], run: async () => void begun.push('later') }
    await expect(runTasks([hanging, failing, later], 2, never)).rejects.toThrow('the first')
    expect(begun).toEqual([])
  })
})
