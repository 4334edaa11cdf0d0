/**
 * Work that may begin as soon as what it stands on is done, on a few lanes, the longest way to the end first: the rows
 * of a large table, then its indexes, while the rows of smaller tables are still coming. What would wait for a lock that
 * other work holds is not begun: a lane that waits is a lane lost, and two that wait for each other wait for ever.
 */
import { assert } from '../errors.ts'

export interface Task {
  /** Anything that grows with the time it will take. */
  readonly weight: number
  readonly after: readonly Task[]
  /** None when left out. */
  readonly locks?: TableLocks
  /** Called once, when everything in `after` has come to its end. */
  run(signal: AbortSignal): Promise<void>
}

export interface TableLocks {
  /** `any`: it cannot be told which. */
  readonly tables: readonly string[] | 'any'
  /** Beside others that share, too. */
  readonly areShared: boolean
}

/**
 * What a task stands on is among the tasks. The first failure stops the rest, and no task begins after it.
 * @throws the first failure, or `signal`'s reason
 */
export async function runTasks(tasks: readonly Task[], lanes: number, signal: AbortSignal): Promise<void> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const waiting = inOrderOfUrgency(tasks)
  const done = new Set<Task>()
  const running = new Map<Task, Promise<void>>()
  const begin = (task: Task): void => {
    waiting.splice(waiting.indexOf(task), 1)
    const work = task
      .run(either)
      .then(() => void done.add(task))
      .catch((error) => stop.abort(error))
      .finally(() => running.delete(task))
    running.set(task, work)
  }
  const mayBegin = (task: Task): boolean =>
    task.after.every((before) => done.has(before)) && !running.keys().some((other) => collide(task, other))

  for (;;) {
    while (running.size < lanes && !either.aborted) {
      const next = waiting.find(mayBegin)
      if (!next) break
      begin(next)
    }
    if (running.size === 0) break
    await Promise.race(running.values())
  }
  signal.throwIfAborted()
  stop.signal.throwIfAborted()
  assert(waiting.length === 0, 'no task waits for itself')
}

function collide({ locks: a }: Task, { locks: b }: Task): boolean {
  if (!a || !b || (a.areShared && b.areShared)) return false
  const { tables } = a
  if (tables === 'any' || b.tables === 'any') return true
  return b.tables.some((table) => tables.includes(table))
}

/** By the weight of the heaviest way from a task to the end. */
function inOrderOfUrgency(tasks: readonly Task[]): Task[] {
  const followers = new Map<Task, Task[]>(tasks.map((task) => [task, []]))
  for (const task of tasks) for (const before of task.after) followers.get(before)?.push(task)
  const known = new Map<Task, number>()
  const urgency = (task: Task): number => {
    const found = known.get(task) ?? task.weight + Math.max(0, ...followers.get(task)!.map(urgency))
    known.set(task, found)
    return found
  }
  return [...tasks].sort((a, b) => urgency(b) - urgency(a))
}
