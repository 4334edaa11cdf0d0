/** What the commands about one patient share: the state at a moment, and how what they show is bound to a purpose. */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { type Configuration, chooseSource, type SourceConfiguration } from '../config.ts'
import { Failure } from '../errors.ts'
import type { Repository } from '../repository/repository.ts'
import { type State, stateAt } from '../repository/state/state.ts'
import { resolveTarget } from '../repository/state/target.ts'
import { encodeKey } from '../repository/tree/key.ts'
import { fieldOfText, StoredRows } from '../restore/patient/stored-rows.ts'
import { type Cli, type CommonOptions, withConfiguration } from './command.ts'
import { openConfiguredRepository, readConfiguration } from './open.ts'

export interface MomentOptions extends CommonOptions {
  readonly at: string
}

export function withMoment(command: Command): Command {
  return withConfiguration(command).option(
    '--at <target>',
    "'latest' (the newest snapshot), 'now' (the last change kept), a snapshot, a time, or an LSN",
    'latest',
  )
}

export interface PatientState {
  readonly configuration: Configuration
  readonly configured: SourceConfiguration
  readonly repository: Repository
  readonly state: State
  readonly stored: StoredRows
}

/** Opens the repository and the state asked for, does `work` on it, and closes both. */
export async function withPatientState<T>(
  cli: Cli,
  options: MomentOptions,
  work: (opened: PatientState) => Promise<T>,
): Promise<T> {
  const configuration = await readConfiguration(cli, options)
  const configured = chooseSource(configuration, options.source)
  await using repository = await openConfiguredRepository(cli, configuration)
  const target = await resolveTarget({ repository, sourceName: configured.name, at: options.at })
  await using state = await stateAt(repository, target, {
    temporaryDirectory: tmpdir(),
    random: randomBytes,
    signal: cli.signal,
  })
  const chunks = state.repository.chunkReader()
  const stored = new StoredRows(state.manifest, chunks, repository.keyring.secrets)
  return await work({ configuration, configured, repository, state, stored })
}

/** The only name of a patient in a record. */
export function pseudonymOf(repository: Repository, patient: string): string {
  return repository.keyring.pseudonym(encodeKey([fieldOfText(patient)]))
}

/** Patients are not looked at without a reason: it stands in the audit beside who looked, and at whom. */
export function refuseWithoutPurpose(purpose: string): void {
  if (purpose.trim().length >= 3) return
  throw new Failure('bad-usage', 'a patient is looked at for a purpose, and none was given', {
    hints: ['Give --purpose, for example --purpose "request 2026-117".'],
  })
}
