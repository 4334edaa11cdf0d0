/**
 * A process that lets others have the processor first, for work that has time: on the database's own machine the
 * application would wait for it otherwise (docs/decisions/0025-capture-gives-way.md).
 */
import { readdirSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

const LOWER = constants.priority.PRIORITY_BELOW_NORMAL

/** All threads of this process; those that begin later take after the one that begins them. What is lower already stays there. */
export function giveWay(): void {
  for (const thread of threadsOfThisProcess()) {
    try {
      if (getPriority(thread) < LOWER) setPriority(thread, LOWER)
    } catch {
      // It has ended meanwhile, or the system lets nobody do this: then all goes on as it was.
    }
  }
}

/** Linux has a priority for each thread, and a number for each; elsewhere 0 stands for the process. */
function threadsOfThisProcess(): number[] {
  try {
    return readdirSync('/proc/self/task').map(Number)
  } catch {
    return [0]
  }
}
