import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runTasks, type Task } from '../../src/restore/tasks.ts'

const never = new AbortController().signal
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('tasks', () => {
  test('begin when what they stand on has ended, no more at once than there are lanes, and all of them', async () => {
    const shape = fc.record({
      lanes: fc.integer({ min: 1, max: 4 }),
      tasks: fc.array(
        fc.record({ weight: fc.nat(9), turns: fc.nat(3), before: fc.array(fc.nat(), { maxLength: 3 }) }),
        {
          maxLength: 12,
        },
      ),
    })
    await fc.assert(
      fc.asyncProperty(shape, async ({ lanes, tasks: drawn }) => {
        const ended = new Set<Task>()
        let running = 0
        const tasks: Task[] = []
        for (const [index, { weight, turns, before }] of drawn.entries()) {
          const after = index === 0 ? [] : before.map((number) => tasks[number % index]!)
          const task: Task = {
            weight,
            after,
            run: async () => {
              running += 1
              expect(running).toBeLessThanOrEqual(lanes)
              expect(after.every((needed) => ended.has(needed))).toBe(true)
              for (let left = turns; left > 0; left -= 1) await turn()
              running -= 1
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
