import type { Command } from 'commander'
import { chooseSource } from '../config.ts'
import { readChangeset } from '../restore/patient/changeset.ts'
import { makeUndoPlan } from '../restore/patient/make-plan.ts'
import { sourceConnection } from '../secrets.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { keepPlan, planOrder, showPlan } from './restore-patient.ts'

interface UndoOptions extends CommonOptions {
  readonly plan: string
  readonly rows: boolean
  readonly showValues: boolean
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'undo',
    summary: 'plan the opposite of a restore of a patient',
    description:
      'Writes a plan that takes a changeset back: approved and applied like every other, by `chartkeep approve` and\n' +
      '`chartkeep restore patient --apply`. Rows in which somebody has written since are left as they are, and listed.',
    examples: ['chartkeep undo 20260301T021500Z-1f2e3d4c --plan undo.json'],
    failures: ['missing-secret', 'wrong-key', 'plan-refused', 'schema-changed'],
  })
  command.argument('<changeset>', 'as `restore patient --apply` printed it, or `chartkeep audit`')
  withConfiguration(command)
    .requiredOption('--plan <file>', 'where the plan goes: a file that is not there yet')
    .option('--rows', 'list the rows, values masked', false)
    .option('--show-values', 'list the rows with their values', false)
    .action(
      action(
        cli,
        (_id: string, options: UndoOptions) => options.json,
        (id, options) => run(cli, id, options),
      ),
    )
  program.addCommand(command)
}

async function run(cli: Cli, changesetId: string, options: UndoOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  const changeset = await readChangeset(repository, changesetId)
  const configured = chooseSource(configuration, options.source ?? changeset.sourceName)
  const connection = await sourceConnection(configured, cli.world)
  const deed = { actor: actorOf(cli), action: 'patient.plan-undo', subject: changesetId, detail: '' }
  const plan = await repository.audit.around(deed, cli.nowMs, async () =>
    keepPlan(await makeUndoPlan(planOrder(cli, repository, connection), changesetId), options.plan),
  )
  showPlan(cli, plan, options)
}
