/** Whether the changes that a log hangs on are told: the capture of the database, of each table, and the log's place. */
import type { Observation } from '../../health-contract.ts'
import { captureObstacle, planCapture, readSetting } from '../changes/plan.ts'
import type { CapturedSpan, CdcQuestions } from '../changes/questions.ts'
import { readSlotState } from '../changes/slot.ts'
import { RETENTION_MINUTES } from '../setup-capture.ts'

export async function lookAtChanges(
  questions: CdcQuestions,
  slot: string,
  tables: readonly string[],
): Promise<Observation[]> {
  const setting = await readSetting(questions)
  const obstacle = captureObstacle(setting)
  if (obstacle !== null) {
    const remedySql = obstacle.remedySql === null ? [] : [obstacle.remedySql]
    return [{ topic: 'server-changes-logged', objects: [], found: obstacle.reason, remedySql }]
  }
  const coarse = planCapture(setting, tables).tables.flatMap(
    ({ table, resolution, reason, remedySql }): Observation[] =>
      resolution === 'transaction' || reason === 'no primary key'
        ? []
        : [
            {
              topic: 'table-coarse',
              objects: [table],
              found: reason ?? '',
              remedySql: remedySql === null ? [] : [remedySql],
            },
          ],
  )
  const span = await questions.span()
  const job = span === null ? [] : [...jobFindings(span), ...(await keptFindings(questions, slot, span))]
  return [...coarse, ...job, ...(await slotFindings(questions, slot))]
}

function jobFindings({ newestSeconds }: CapturedSpan): Observation[] {
  const found = `cdc.lsn_time_mapping: ${newestSeconds} s`
  const remedySql = ["EXEC sys.sp_cdc_start_job N'capture'; -- SQL Server Agent must run"]
  return [{ topic: 'capture-job-still', objects: [], found, measure: newestSeconds, remedySql }]
}

/** What clean-up has left, once it has taken anything: its setting stands in msdb, which our login does not read. */
async function keptFindings(
  questions: CdcQuestions,
  slot: string,
  { oldestSeconds }: CapturedSpan,
): Promise<Observation[]> {
  const row = await questions.readSlot(slot)
  const instances = await questions.instances()
  const hasRun = instances.some(({ changeTable, low }) => {
    const began = row?.followed[changeTable]
    return began !== undefined && low !== null && low > began
  })
  if (!hasRun) return []
  const found = `cdc.lsn_time_mapping: ${(oldestSeconds / 3600).toFixed(1)} h`
  const remedySql = [
    `EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = ${RETENTION_MINUTES};`,
    "EXEC sys.sp_cdc_stop_job N'cleanup'; EXEC sys.sp_cdc_start_job N'cleanup';",
  ]
  return [{ topic: 'changes-kept-short', objects: [], found, measure: oldestSeconds, remedySql }]
}

async function slotFindings(questions: CdcQuestions, slot: string): Promise<Observation[]> {
  const state = await readSlotState(questions, slot)
  if (state === null) return [{ topic: 'slot-missing', objects: [slot], found: 'chartkeep.slot: 0' }]
  const { walStatus } = state
  if (walStatus.startsWith('lost')) return [{ topic: 'slot-lost', objects: [slot], found: walStatus }]
  return state.active ? [] : [{ topic: 'slot-idle', objects: [slot], found: 'sp_getapplock: –' }]
}
