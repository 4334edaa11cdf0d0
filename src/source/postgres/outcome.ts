/**
 * What became of a transaction whose COMMIT was never answered (P18). A commit that waits for its standby is in progress
 * for as long as the wait lasts, also after our client died: so our own server process is ended first, and then the
 * server is asked until it says something final, on the same history as before.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionSettings } from '../contract.ts'
import { isSameDatabase } from '../identity.ts'
import type { AppliedTransaction, TransactionOutcome } from '../row-contract.ts'
import { connect } from './connect.ts'
import { readIdentity } from './identity.ts'

const ATTEMPTS = 30
const PAUSE_MS = 1_000

export async function settleOutcome(
  settings: ConnectionSettings,
  transaction: AppliedTransaction,
  pauseMs: number = PAUSE_MS,
): Promise<TransactionOutcome> {
  let outcome: TransactionOutcome = 'unknown'
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (attempt > 0) await sleep(pauseMs)
    outcome = await askOutcome(settings, transaction).catch((): TransactionOutcome => 'unknown')
    if (outcome === 'committed' || outcome === 'rolled back') return outcome
  }
  return outcome
}

async function askOutcome(
  settings: ConnectionSettings,
  { id, identity }: AppliedTransaction,
): Promise<TransactionOutcome> {
  await using session = await connect(settings, 'read')
  // Numbers of transactions are used again on another timeline.
  const found = await readIdentity(session)
  if (!isSameDatabase(identity, found) || identity.timeline !== found.timeline) return 'unknown'
  // Only a process of our own role, still in this very transaction: anybody else's is none of our business.
  await session.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE usename = current_user AND pid <> pg_backend_pid() AND backend_xid = ($1::text::numeric % 4294967296)::text::xid`,
    [id],
  )
  const [row] = await session.query('SELECT pg_xact_status($1::xid8) AS status', [id])
  if (row?.status === 'committed') return 'committed'
  if (row?.status === 'aborted') return 'rolled back'
  return row?.status === 'in progress' ? 'in progress' : 'unknown'
}
