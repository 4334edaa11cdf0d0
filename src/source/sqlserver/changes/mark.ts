/**
 * A word of ours, committed and then seen in the change table of its own: everything that was committed before it has a
 * lower log sequence number, and has been captured when it has been. It shows that the capture job runs, too.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../../../errors.ts'
import { behind, type CdcLsn } from './lsn.ts'
import type { Pace } from './pace.ts'
import type { CdcQuestions } from './questions.ts'

const FIRST_LSN: CdcLsn = '0'.repeat(20)

/**
 * @returns a position behind everything that was committed when it was called
 * @throws source-failed when the capture job stands still; missing-rights, source-…
 */
export async function passMark(questions: CdcQuestions, pace: Pace): Promise<bigint> {
  const from = (await questions.captured()) ?? FIRST_LSN
  const token = randomUUID()
  await questions.mark(token)
  let captured = from
  // A job that lags and gets on is waited for, however long it takes.
  for (let looks = 0; looks < pace.markLooks; looks += 1) {
    const lsn = await questions.markedAt(token, from)
    if (lsn !== null) return behind(lsn)
    await sleep(pace.pollMs)
    const now = (await questions.captured()) ?? from
    if (now !== captured) looks = 0
    captured = now
  }
  throw standsStill(pace)
}

function standsStill({ markLooks, pollMs }: Pace): Failure {
  const seconds = Math.round((markLooks * pollMs) / 1000)
  return new Failure('source-failed', `the capture job of the database has not moved for ${seconds} s`, {
    hints: [
      'Nothing is lost: the transaction log is kept until the job has gone through it, and grows until then.',
      "Let the administrator see whether SQL Server Agent runs, and run EXEC sys.sp_cdc_start_job 'capture';",
    ],
  })
}
