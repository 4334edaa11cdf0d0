/** Whether the changes that a log hangs on are told: the capture of the database, of each table, and the log's place. */
import type { Observation } from '../../health-contract.ts'
import { captureObstacle, planCapture, readSetting } from '../changes/plan.ts'
import type { CdcQuestions } from '../changes/questions.ts'
import { readSlotState } from '../changes/slot.ts'

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
  return [...coarse, ...(await slotFindings(questions, slot))]
}

async function slotFindings(questions: CdcQuestions, slot: string): Promise<Observation[]> {
  const state = await readSlotState(questions, slot)
  if (state === null) return [{ topic: 'slot-missing', objects: [slot], found: 'chartkeep.slot: 0' }]
  const { walStatus } = state
  if (walStatus.startsWith('lost')) return [{ topic: 'slot-lost', objects: [slot], found: walStatus }]
  return state.active ? [] : [{ topic: 'slot-idle', objects: [slot], found: 'sp_getapplock: –' }]
}
