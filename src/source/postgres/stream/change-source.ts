/** The changes of a PostgreSQL database: logical decoding by pgoutput, through one slot and one publication. */
import type { ChangeSource } from '../../change-contract.ts'
import type { ConnectionSettings } from '../../contract.ts'
import type { Session } from '../connect.ts'
import { openChangeStream } from './change-stream.ts'
import { MESSAGE_PREFIX, SEAL_MESSAGE } from './decoder.ts'
import { readFingerprint } from './fingerprint.ts'
import { KeptSession } from './kept-session.ts'
import { planCapture } from './plan.ts'
import { createSlot, dropSlot, readSlotState, readXidHorizon } from './slot.ts'
import { readTimelines } from './timelines.ts'

export const DEFAULT_PUBLICATION = 'chartkeep'

/** Connects when it is first asked something. */
export function postgresChanges(connection: ConnectionSettings): ChangeSource & AsyncDisposable {
  const publication = connection.publication ?? DEFAULT_PUBLICATION
  const kept = new KeptSession(connection)
  return {
    plan: (tables, options) =>
      kept.ask('looking at what can be captured', (session) =>
        planCapture(session, { publication, tables, allowsUnlimitedSlot: options?.allowsUnlimitedSlot ?? false }),
      ),
    createSlot: (slot, options) => createSlot(connection, { slot, ...options }),
    slotState: (slot) => kept.ask(`looking at slot ${slot}`, (session) => readSlotState(session, slot)),
    dropSlot: (slot) => kept.ask(`dropping slot ${slot}`, (session) => dropSlot(session, slot)),
    openStream: (options) => openChangeStream({ connection, publication }, options),
    fingerprint: () => kept.ask('reading the catalog fingerprint', (session) => readFingerprint(session, publication)),
    requestSeal: () => kept.ask('asking for a seal', requestSeal),
    xidHorizon: () => kept.ask('taking the number of a transaction', readXidHorizon),
    timelines: () => readTimelines(connection),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  }
}

/**
 * A transaction of its own: its commit is written to disk at once, where a bare message may wait for somebody else's; it is
 * delivered as a transaction without changes, so that an idle slot can be confirmed up to it; and its time says up to when
 * nothing happened. `local` keeps it from waiting for a synchronous standby. Two statements in one message are one
 * transaction.
 */
async function requestSeal(session: Session): Promise<bigint> {
  const [row] = await session.query(
    `SET LOCAL synchronous_commit = local;
     SELECT pg_wal_lsn_diff(pg_logical_emit_message(true, '${MESSAGE_PREFIX}', '${SEAL_MESSAGE}'), '0/0') AS lsn`,
  )
  return BigInt(row?.lsn ?? 0)
}
