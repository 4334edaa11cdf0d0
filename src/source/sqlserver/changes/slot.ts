/**
 * The place of a change log, in a table of ours: what was confirmed, and by which instances. SQL Server keeps changes for
 * as long as its clean-up is told to, whoever has read them; so a slot holds nothing back, and can be overtaken. It is
 * overtaken when the data of an instance begins behind both what was confirmed and where the instance itself began when
 * it was first followed (F14, F15): clean-up moves that beginning, and nothing else does.
 *
 * An instance that is gone, or another under its name, is a difference of the table's fingerprint, and so the end of what
 * is known of that table alone.
 */
import { Failure } from '../../../errors.ts'
import type { SlotStart, SlotState } from '../../change-contract.ts'
import { type CdcLsn, shownLsn, unpackLsn } from './lsn.ts'
import { passMark } from './mark.ts'
import type { Pace } from './pace.ts'
import type { CaptureInstance, CdcQuestions, SlotRow } from './questions.ts'

/** Behind a mark: what commits from the slot's start on is under the definitions that were read before it was made. */
export async function createSlot(questions: CdcQuestions, slot: string, pace: Pace): Promise<SlotStart> {
  // All that are there, and before the start: clean-up may run before the first of them is followed.
  const followed = beginnings(await questions.instances())
  const startLsn = await passMark(questions, pace)
  if (await questions.createSlot(slot, { confirmed: startLsn, followed })) {
    return { startLsn, xidHorizon: String(startLsn) }
  }
  throw new Failure('slot-exists', `the source already has a slot ${slot} (chartkeep.slot)`, {
    hints: ['See `chartkeep status`; a slot that nobody uses must be deleted by a database administrator.'],
  })
}

/** Where the instances begin now, of those whose data has begun. */
export function beginnings(instances: readonly CaptureInstance[]): SlotRow['followed'] {
  return Object.fromEntries(instances.flatMap(({ changeTable, low }) => (low === null ? [] : [[changeTable, low]])))
}

export async function readSlotState(questions: CdcQuestions, slot: string): Promise<SlotState | null> {
  const row = await questions.readSlot(slot)
  if (row === null) return null
  const overtaken = findOvertaken(row, await questions.instances())
  return {
    active: await questions.isHeld(slot),
    walStatus: overtaken === null ? 'reserved' : `lost: ${overtaken}`,
    confirmedLsn: row.confirmed,
    retainedBytes: 0n,
    safeBytes: null,
    catalogXminAge: 0,
  }
}

/** In words; null when everything behind the slot is still there. */
export function findOvertaken({ confirmed, followed }: SlotRow, instances: readonly CaptureInstance[]): string | null {
  const needed = unpackLsn(confirmed)
  for (const { name, changeTable, low } of instances) {
    const began = followed[changeTable]
    if (began === undefined || low === null || low <= later(needed, began)) continue
    return `clean-up has removed changes of ${name} up to ${shownLsn(low)}`
  }
  return null
}

function later(a: CdcLsn, b: CdcLsn): CdcLsn {
  return a > b ? a : b
}
