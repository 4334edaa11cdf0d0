/** What a slot, a publication or a stream fails with, as a Failure of our table. */
import { Failure } from '../../../errors.ts'
import { isServerError, toPostgresFailure } from '../failures.ts'

const SETUP_HINT = 'Let the database administrator run what `chartkeep setup-sql` prints.'

/** The server names by function what it did not find: a slot, or a publication. */
const SLOT_ROUTINE = /^ReplicationSlot/

export function streamFailure(
  error: unknown,
  { slot, doing }: { readonly slot: string; readonly doing: string },
): Error {
  if (!isServerError(error)) return toPostgresFailure(error, { doing, side: 'source' })
  switch (error.code) {
    case '55006':
      return slotInUse(slot)
    case '42704':
      return SLOT_ROUTINE.test(error.routine ?? '') ? slotMissing(slot) : publicationMissing()
    case '55000':
    case '58P01':
      return slotLost(slot, 'lost')
    case '42501':
      return new Failure('missing-rights', `${doing} failed: the role may not follow replication slots`, {
        hints: [SETUP_HINT],
      })
    default:
      return toPostgresFailure(error, { doing, side: 'source' })
  }
}

export function slotMissing(slot: string): Failure {
  return new Failure('slot-missing', `the source has no replication slot ${slot}`, {
    hints: ['Run `chartkeep capture`: it begins a new change log and declares the gap.'],
  })
}

export function slotLost(slot: string, state: string): Failure {
  return new Failure('slot-lost', `the server no longer keeps the changes that slot ${slot} waits for (${state})`, {
    hints: [
      'Run `chartkeep capture`: it begins a new change log and declares the gap.',
      'If it happens again, a larger max_slot_wal_keep_size gives capture more time.',
    ],
  })
}

export function slotInUse(slot: string): Failure {
  return new Failure('slot-in-use', `another session follows replication slot ${slot}`, {
    hints: ['One capture runs for each source. The server ends the session of a dead one within wal_sender_timeout.'],
  })
}

export function publicationMissing(): Failure {
  return new Failure('cannot-capture', 'the publication that the stream reads from is not there', {
    hints: [SETUP_HINT],
  })
}
