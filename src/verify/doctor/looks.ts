/** Gathers what was seen, judges it by the checks, and keeps apart what was good from what nobody looked at. */
import { Failure } from '../../errors.ts'
import type { Seen, Severity, Topic, Words } from './check.ts'
import { CHECKS } from './checks.ts'
import type { Limits } from './limits.ts'

export type DoctorSeverity = Severity | 'inconclusive'

export interface DoctorFinding {
  /** Stable: scripts may look for it. */
  readonly id: Topic
  readonly severity: DoctorSeverity
  /** Names of tables, roles, settings, files. Never a row value. */
  readonly objects: readonly string[]
  /** Short and technical, whatever the language; of an inconclusive one, why. */
  readonly found: string
  readonly en: Words
  readonly zh: Words
  /** In order: statements for the administrator, and commands. */
  readonly run: readonly string[]
}

export interface DoctorReport {
  readonly source: string
  /** ISO 8601, by our clock. */
  readonly at: string
  /** The worst there is; `good` when there is nothing. */
  readonly status: DoctorSeverity | 'good'
  /** Worst first. */
  readonly findings: readonly DoctorFinding[]
  /** Checks that were made and found nothing. */
  readonly good: readonly Topic[]
}

/** Worst first. What nobody could look at may be the worst of all, and is known to be nothing. */
const ORDER: readonly DoctorSeverity[] = ['error', 'inconclusive', 'warning', 'notice']

export class Looks {
  readonly limits: Limits
  readonly #looked = new Set<Topic>()
  readonly #findings: DoctorFinding[] = []

  constructor(limits: Limits) {
    this.limits = limits
  }

  /** @throws defect */
  async at(topics: readonly Topic[], look: () => Promise<readonly Seen[]>): Promise<void> {
    const seen = await this.take(topics, look)
    if (seen !== null) this.saw(topics, seen)
  }

  /** What a look gives that says nothing by itself; null, and its topics inconclusive, where it fails. @throws defect */
  async take<Result>(topics: readonly Topic[], look: () => Promise<Result>): Promise<Result | null> {
    const result = await orFailure(look)
    if (!(result instanceof Failure)) return result
    this.couldNot(topics.map((topic) => ({ topic, reason: result.message })))
    return null
  }

  /** Something whose failing to open is a finding of its own. @throws defect */
  async open<Result>(topic: Topic, work: () => Promise<Result>): Promise<Result | Failure> {
    const result = await orFailure(work)
    const observations = result instanceof Failure ? [{ topic, objects: [], found: result.message }] : []
    this.saw([topic], observations)
    return result
  }

  saw(topics: readonly Topic[], observations: readonly Seen[]): void {
    for (const topic of topics) this.#looked.add(topic)
    for (const observation of observations) this.#judge(observation)
  }

  couldNot(topics: readonly { readonly topic: Topic; readonly reason: string }[]): void {
    for (const { topic, reason } of topics) {
      const { en, zh } = CHECKS[topic]
      this.#findings.push({ id: topic, severity: 'inconclusive', objects: [], found: reason, en, zh, run: [] })
    }
  }

  report(source: string, at: string): DoctorReport {
    const findings = ORDER.flatMap((severity) => this.#findings.filter((finding) => finding.severity === severity))
    const found = new Set(findings.map(({ id }) => id))
    const good = [...this.#looked].filter((topic) => !found.has(topic)).sort()
    return { source, at, status: findings[0]?.severity ?? 'good', findings, good }
  }

  #judge({ topic, objects, found, measure, remedySql = [] }: Seen): void {
    const check = CHECKS[topic]
    const severity = typeof check.severity === 'string' ? check.severity : check.severity(measure ?? 0, this.limits)
    if (severity === null) return
    const { en, zh, run } = check
    this.#findings.push({ id: topic, severity, objects, found, en, zh, run: [...remedySql, ...run] })
  }
}

async function orFailure<Result>(work: () => Promise<Result>): Promise<Result | Failure> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Failure && error.code !== 'defect') return error
    throw error
  }
}
