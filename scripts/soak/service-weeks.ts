/** Weeks of the service at a simulated clock, each with other faults at other hours, from calm ones to very bad ones. */
import { runWeek } from '../../test/service/week/run-week.ts'
import type { SoakPart } from './part.ts'

const FAULTS_MAX = 16

export const serviceWeeks: SoakPart = {
  name: 'service-weeks',
  run: async ({ seed, isOver }) => {
    const failures: string[] = []
    const figures = { jobs: 0, messages: 0, faults: 0 }
    let tried = 0
    for (; !isOver() && failures.length === 0; tried += 1) {
      const faults = 2 + ((seed + tried) % FAULTS_MAX)
      const report = await runWeek(seed + tried, { faults })
      figures.jobs += report.jobs
      figures.messages += report.messages
      figures.faults += faults
      for (const broken of report.broken) {
        failures.push(
          `seed ${seed + tried}, ${faults} faults, from ${report.start}: ${broken}; ${report.faults.join('; ')}`,
        )
      }
    }
    return { tried, failures, figures }
  },
}
