/**
 * Whether the clock can be believed by whoever deletes by it (F28). A grace that seems to be over, or a hold that seems to
 * have ended, may be a clock that jumped. Three things speak against it: something that was done later than now; no
 * snapshot for days; a newest snapshot that the database's own clock puts at another time.
 */
import { Failure } from '../../errors.ts'
import type { Survey } from './survey.ts'

/** How far the clocks of two agents may be apart. */
const BEHIND_MAX_MS = 10 * 60 * 1000
/** How far the database's clock may be from ours. */
const APART_MAX_MS = 60 * 60 * 1000
/** Who takes no snapshot for so long has something else to do than to delete old ones. */
const SILENCE_MAX_MS = 3 * 24 * 60 * 60 * 1000

/** `times`: of marks and the like, ISO 8601. @throws clock-doubtful */
export function assertClock(survey: Survey, times: readonly string[], nowMs: number): void {
  const newest = survey.manifests[0]
  if (!newest) return
  const { startedAt, endedAt } = newest.run
  const lastAudit = survey.audit.at(-1)?.time
  const known = [endedAt, ...times, ...survey.holds.map(({ madeAt }) => madeAt), ...(lastAudit ? [lastAudit] : [])]
  const latest = known.reduce((most, time) => (Date.parse(time) > Date.parse(most) ? time : most))
  if (nowMs < Date.parse(latest) - BEHIND_MAX_MS) {
    throw doubtful(`it is ${iso(nowMs)} by this machine's clock, and something was recorded at ${latest}`)
  }
  if (nowMs > Date.parse(endedAt) + SILENCE_MAX_MS) {
    throw doubtful(`it is ${iso(nowMs)} by this machine's clock, and the newest snapshot is of ${endedAt}`)
  }
  const { sourceTime } = newest.position
  const takenMs = Date.parse(sourceTime)
  if (takenMs < Date.parse(startedAt) - APART_MAX_MS || takenMs > Date.parse(endedAt) + APART_MAX_MS) {
    throw doubtful(
      `the newest snapshot was taken from ${startedAt} to ${endedAt}, and its database's clock said ${sourceTime}`,
    )
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

function doubtful(message: string): Failure {
  return new Failure('clock-doubtful', message, {
    hints: [
      'Nothing was deleted. Set the clock right, or mend what keeps backups from being taken.',
      'Then run `chartkeep backup`, and this command again behind it.',
    ],
  })
}
