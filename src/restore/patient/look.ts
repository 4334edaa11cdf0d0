/** Looking at one patient: the state of a moment, the only name a record has for them, and the purpose it is bound to. */
import { Failure } from '../../errors.ts'
import type { Repository } from '../../repository/repository.ts'
import { type ChangesWorld, changesSince } from '../../repository/state/changes-since.ts'
import { resolveTarget } from '../../repository/state/target.ts'
import { encodeKey } from '../../repository/tree/key.ts'
import { mayHoldPatients } from './closure.ts'
import { fieldOfText } from './stored-row.ts'
import { StoredRows } from './stored-rows.ts'

const PURPOSE_CHARACTERS_MIN = 3

export interface MomentAsked {
  readonly repository: Repository
  readonly sourceName: string
  /** As `parseMoment` takes it. */
  readonly at: string
}

export interface PatientState {
  readonly stored: StoredRows
}

/** Does `work` on the rows as of the moment, and closes them. @throws as `resolveTarget` and `changesSince` do */
export async function withStateAt<T>(
  { repository, sourceName, at }: MomentAsked,
  world: ChangesWorld,
  work: (opened: PatientState) => Promise<T>,
): Promise<T> {
  const target = await resolveTarget({ repository, sourceName, at })
  using since = await changesSince(target, world, mayHoldPatients)
  const { base, added } = target
  // Where the snapshot is the state, no table of it is older than the rest.
  const changes = target.along === null ? null : since
  return await work({
    stored: new StoredRows(base, repository.chunkReader(), repository.keyring.secrets, changes, added),
  })
}

/** The only name of a patient in a record. */
export function pseudonymOf(repository: Repository, patient: string): string {
  return repository.keyring.pseudonym(encodeKey([fieldOfText(patient)]))
}

/** Patients are not looked at without a reason: it stands in the audit beside who looked, and at whom. */
export function refuseWithoutPurpose(purpose: string): void {
  if (purpose.trim().length >= PURPOSE_CHARACTERS_MIN) return
  throw new Failure('bad-usage', 'a patient is looked at for a purpose, and none was given', {
    hints: ['Give --purpose, for example --purpose "request 2026-117".'],
  })
}
