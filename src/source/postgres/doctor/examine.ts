/** All that a PostgreSQL database tells of its health, by groups: one that cannot be looked at leaves the others alone. */
import { Failure } from '../../../errors.ts'
import type { ConnectionSettings } from '../../contract.ts'
import type { DatabaseHealth, HealthQuestion, HealthTopic, Observation } from '../../health-contract.ts'
import { connect, type Session } from '../connect.ts'
import { toPostgresFailure } from '../failures.ts'
import { readIdentity } from '../identity.ts'
import { readSlotState } from '../stream/slot.ts'
import { notKept, sequences } from './contents.ts'
import type { HealthGroup } from './group.ts'
import { publicationAndTables } from './publication.ts'
import { readerRole, writerRole } from './role.ts'
import { openTransactions, schemaTool, serverClock, serverSettings } from './server.ts'
import { otherSlots, ourSlot } from './slots.ts'

const DEFAULT_PUBLICATION = 'chartkeep'
const READER: readonly HealthGroup[] = [
  serverClock,
  serverSettings,
  openTransactions,
  schemaTool,
  readerRole,
  publicationAndTables,
  ourSlot,
  otherSlots,
  sequences,
  notKept,
]
const WRITER: readonly HealthGroup[] = [writerRole]

/** As the role that reads. @throws source-unreachable, source-login-refused, source-not-found, setting-not-pinned */
export async function examinePostgres(
  connection: ConnectionSettings,
  question: HealthQuestion,
): Promise<DatabaseHealth> {
  return await examine(connection, question, READER)
}

/** As the role that puts patients back. Its session cannot write either. @throws as `examinePostgres` */
export async function examinePostgresWriter(
  connection: ConnectionSettings,
  question: HealthQuestion,
): Promise<DatabaseHealth> {
  return await examine(connection, question, WRITER)
}

async function examine(
  connection: ConnectionSettings,
  question: HealthQuestion,
  groups: readonly HealthGroup[],
): Promise<DatabaseHealth> {
  await using session = await connect(connection, 'read')
  const looked: HealthTopic[] = []
  const observations: Observation[] = []
  const notLooked: { topic: HealthTopic; reason: string }[] = []
  const asked = { ...question, publication: connection.publication ?? DEFAULT_PUBLICATION }
  for (const group of groups) {
    const seen = await lookAt(session, () => group.look(session, asked))
    if (seen instanceof Failure) {
      notLooked.push(...group.topics.map((topic) => ({ topic, reason: seen.message })))
      continue
    }
    looked.push(...group.topics)
    observations.push(...seen)
  }
  const identity = await lookAt(session, () => readIdentity(session))
  const { slot } = question
  const state = slot === null ? null : await lookAt(session, () => readSlotState(session, slot))
  const confirmed = state instanceof Failure ? {} : { slotConfirmedLsn: state?.confirmedLsn ?? null }
  return { identity: identity instanceof Failure ? null : identity, ...confirmed, looked, observations, notLooked }
}

/** Each question is its own short transaction, which waits for nobody. @throws defect */
async function lookAt<Seen>(session: Session, look: () => Promise<Seen>): Promise<Seen | Failure> {
  try {
    await session.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '1s'`)
    try {
      return await look()
    } finally {
      await session.query('ROLLBACK')
    }
  } catch (error) {
    const failure = toPostgresFailure(error, { doing: 'examining the database', side: 'source' })
    if (failure instanceof Failure && failure.code !== 'defect') return failure
    throw failure
  }
}
