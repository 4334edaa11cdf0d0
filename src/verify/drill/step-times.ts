/**
 * When the steps of a drill came to pass. What people say of the time before the program was started (the fault, its
 * discovery, the report, the authorisation) is taken from them, and marked so; everything else is the program's clock.
 */
import { Failure } from '../../errors.ts'
import { type DrillReport, STEPS, type StepName } from './drill-report.ts'

/** Milliseconds since 1970; absent where nobody said, and the program was started at once. */
export interface SaidTimes {
  readonly T0?: number
  readonly T1?: number
  readonly T2?: number
  readonly T3?: number
}

const SAID = ['T0', 'T1', 'T2', 'T3'] as const

export class StepTimes {
  readonly #times = new Map<StepName, { readonly ms: number; readonly by: 'person' | 'program' }>()

  /** @throws bad-usage when the times are not in their order, or lie ahead */
  constructor(said: SaidTimes, startedMs: number) {
    let latest: { step: StepName; ms: number } | null = null
    for (const step of SAID) {
      const ms = said[step]
      if (ms === undefined) continue
      if (ms > startedMs || (latest !== null && ms < latest.ms)) throw outOfOrder(step, latest?.step ?? null)
      latest = { step, ms }
      this.#times.set(step, { ms, by: 'person' })
    }
    // Of what nobody said: as late as what follows allows, and that is now.
    for (const step of SAID) {
      if (this.#times.has(step)) continue
      const next = SAID.slice(SAID.indexOf(step)).find((later) => said[later] !== undefined)
      this.#times.set(step, { ms: next === undefined ? startedMs : said[next]!, by: 'program' })
    }
    this.#times.set('T4', { ms: startedMs, by: 'program' })
  }

  mark(step: StepName, ms: number): void {
    this.#times.set(step, { ms, by: 'program' })
  }

  ms(step: StepName): number | null {
    return this.#times.get(step)?.ms ?? null
  }

  /** Null when either was not reached. */
  between(from: StepName, to: StepName): number | null {
    const [start, end] = [this.ms(from), this.ms(to)]
    return start === null || end === null ? null : end - start
  }

  timeline(): DrillReport['timeline'] {
    return STEPS.flatMap((step) => {
      const found = this.#times.get(step)
      return found ? [{ step, at: new Date(found.ms).toISOString(), by: found.by }] : []
    })
  }
}

function outOfOrder(step: StepName, before: StepName | null): Failure {
  const what = before === null ? 'lies ahead' : `lies before ${before} or ahead`
  return new Failure('bad-usage', `the time of ${step} ${what}`, {
    hints: ['Fault, discovery, report and authorisation come in this order, and before the drill is started.'],
  })
}
