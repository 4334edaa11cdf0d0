/** The hand-over of a read on a server: null where there is nothing to hand over to. */
import { Failure } from '../../../errors.ts'
import type { Session } from '../connect.ts'
import { lineOf } from '../copy-line.ts'
import type { CatalogTable } from '../introspect.ts'
import { keysAmong } from '../key-condition.ts'
import { selectStatement } from '../read-table.ts'
import { hasCatalogView } from '../readable.ts'
import { askServer } from './ask-server.ts'
import { type LookAtRows, settledPosition, standingOf } from './hand-over.ts'
import { USUAL_PACE } from './pace.ts'
import { captureObstacle, followable, MARK_NAME, readSetting } from './plan.ts'

export interface HandOver extends AsyncDisposable {
  /** Everything that commits before it is in every snapshot that begins now. */
  readonly settled: bigint
  /** That are followed, and one of ours. */
  readonly tables: readonly CatalogTable[]
  /** Of the snapshot that `keeper` has begun; null when it stands at none that can be told. */
  standingOf(keeper: Session): Promise<bigint | null>
}

/** Keys in one statement: the server compiles each list anew, and slowly when it is long. */
const KEYS_AT_ONCE = 500

/** For all tables that are followed, whichever are read: what is carried on by changes stands at the same position. */
export async function openHandOver(open: () => Promise<Session>): Promise<HandOver | null> {
  const session = await open()
  const questions = askServer(session)
  try {
    const hand = (await hasCatalogView(session, 'cdc.change_tables')) ? await begin(questions) : null
    if (hand !== null) return hand
  } catch (error) {
    await questions[Symbol.asyncDispose]()
    throw error
  }
  await questions[Symbol.asyncDispose]()
  return null
}

async function begin(questions: ReturnType<typeof askServer>): Promise<HandOver | null> {
  const setting = await readSetting(questions)
  if (captureObstacle(setting) !== null) return null
  const names = setting.tables.map(({ table }) => table.info.name).filter((name) => name !== MARK_NAME)
  const followed = followable(setting, names)
  const settled = await orStandstill(settledPosition(questions, followed, USUAL_PACE))
  if (settled === null) return null
  return {
    settled,
    tables: followable(setting, [MARK_NAME]).map(({ table }) => table),
    standingOf: (keeper) =>
      orStandstill(standingOf({ questions, followed, settled, look: lookIn(keeper), pace: USUAL_PACE })),
    [Symbol.asyncDispose]: () => questions[Symbol.asyncDispose](),
  }
}

/** A capture job that stands still is no reason not to read. */
async function orStandstill<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Failure && error.code === 'source-failed') return null
    throw error
  }
}

/** In the transaction of the read. */
function lookIn(keeper: Session): LookAtRows {
  return async ({ table }, keys) => {
    const found = new Map<string, string>()
    const columns = table.info.primaryKey.map((name) => table.captured.find((column) => column.name === name)!)
    const positions = columns.map((column) => table.captured.indexOf(column))
    for (let start = 0; start < keys.length; start += KEYS_AT_ONCE) {
      const part = keys
        .slice(start, start + KEYS_AT_ONCE)
        .map((key) => key.split('\t').map((field) => Buffer.from(field)))
      const statement = `${selectStatement(table)} ck_row WHERE ${keysAmong('ck_row', columns, part)}`
      for await (const [, ...fields] of keeper.rows(statement)) {
        // Half a surrogate pair fails the read itself, which says where it is.
        const line = String(lineOf(fields)).slice(0, -1)
        const told = line.split('\t')
        found.set(positions.map((position) => told[position]).join('\t'), line)
      }
    }
    return found
  }
}
