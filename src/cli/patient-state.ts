/** What the commands about one patient share: the options of a moment, and the state at it. */
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { type Configuration, chooseSource, type SourceConfiguration } from '../config.ts'
import type { Repository } from '../repository/repository.ts'
import { type PatientState as OpenedState, withStateAt } from '../restore/patient/look.ts'
import { type Cli, type CommonOptions, withConfiguration } from './command.ts'
import { openConfiguredRepository, readConfiguration } from './open.ts'

export interface MomentOptions extends CommonOptions {
  readonly at: string
}

export function withMoment(command: Command): Command {
  return withConfiguration(command).option(
    '--at <target>',
    "'latest' (the newest snapshot), 'now' (the last change kept), a snapshot, a time, an LSN, or before:CHANGE",
    'latest',
  )
}

export interface PatientState extends OpenedState {
  readonly configuration: Configuration
  readonly configured: SourceConfiguration
  readonly repository: Repository
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
  const asked = { repository, sourceName: configured.name, at: options.at }
  const world = { temporaryDirectory: tmpdir(), signal: cli.signal }
  return await withStateAt(asked, world, (opened) => work({ configuration, configured, repository, ...opened }))
}
