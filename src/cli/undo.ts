import type { Command } from 'commander'
import { chooseSource } from '../config.ts'
import { readChangeset } from '../restore/patient/changeset.ts'
import { makeUndoPlan } from '../restore/patient/make-plan.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { type PlanViewOptions, showPlan, withPlanView } from './plan-options.ts'
import { keepPlan, planOrder, readConnection } from './restore-patient.ts'

interface UndoOptions extends CommonOptions, PlanViewOptions {
  readonly json: boolean
  readonly plan: string
  readonly into?: string
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
  withPlanView(withConfiguration(command))
    .requiredOption('--plan <file>', 'where the plan goes: a file that is not there yet')
    .option('--into <url>', 'the database that it was applied to, when that was not the source')
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, changesetId: string, options: UndoOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  const changeset = await readChangeset(repository, changesetId)
  const configured = chooseSource(configuration, options.source ?? changeset.sourceName)
  const connection = await readConnection(cli, configured, options.into)
  const deed = { actor: actorOf(cli), action: 'patient.plan-undo', subject: changesetId, detail: '' }
  const plan = await repository.audit.around(deed, cli.nowMs, async () =>
    keepPlan(await makeUndoPlan(planOrder(cli, repository, connection), changesetId), options.plan),
  )
  await showPlan(cli, plan, options)
  if (!options.json)
    cli.terminal.out(`Nothing was changed. Next: chartkeep approve ${options.plan}, by another person.`)
}
