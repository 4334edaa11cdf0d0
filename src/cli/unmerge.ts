import type { Command } from 'commander'
import { Failure } from '../errors.ts'
import { pseudonymOf, refuseWithoutPurpose } from '../restore/patient/look.ts'
import { makeUnmergePlan } from '../restore/patient/make-plan.ts'
import { UNMERGE_POLICIES } from '../restore/patient/plan.ts'
import { action, type Cli, describe } from './command.ts'
import { actorOf } from './open.ts'
import { namedRow } from './patient-selection.ts'
import { type MomentOptions, withMoment, withPatientState } from './patient-state.ts'
import { type PlanViewOptions, showPlan, withPlanView } from './plan-options.ts'
import { collect, keepPlan, planOrder, readConnection } from './restore-patient.ts'

interface UnmergeOptions extends MomentOptions, PlanViewOptions {
  readonly json: boolean
  readonly policy: string
  readonly give: readonly string[]
  readonly acceptLoss: boolean
  readonly purpose?: string
  readonly plan?: string
  readonly into?: string
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'unmerge',
    summary: 'plan to take a wrong merge of two patients apart',
    description:
      'Looks at both as of a moment before the merge and as they are now. What was one’s and hangs on the other goes back, all of it\n' +
      'or none; its content stays as it is. What was written since goes with the row that it hangs on; what hangs on the key of a\n' +
      'patient itself stays there, unless --give names it. Approved and applied like every plan, by `chartkeep approve` and\n' +
      '`chartkeep restore patient --apply`. Policies: missing puts back, too, what is gone; changed sets back, too, what differs.',
    examples: [
      'chartkeep unmerge 417 532 --at 2026-03-01T10:15:00+08:00 --purpose "request 118" --plan unmerge.json',
      'chartkeep unmerge 417 532 --at latest --rows --purpose "request 118"',
      'chartkeep unmerge 417 532 --at latest --give public.admission:9041 --purpose "request 118" --plan unmerge.json',
    ],
    failures: ['missing-secret', 'wrong-key', 'snapshot-not-found', 'change-log-gap', 'schema-changed', 'plan-refused'],
  })
  command.argument('<one>', "a patient's key").argument('<other>', "the other one's")
  withPlanView(withMoment(command))
    .option('--policy <policy>', UNMERGE_POLICIES.join(', '), 'missing')
    .option(
      '--give <table:key>',
      'a row written since that is the other one’s, by its primary key; may be repeated',
      collect,
      [],
    )
    .option('--accept-loss', 'put back rows without the columns that are gone', false)
    .option('--purpose <text>', 'why the patients are looked at: it stands in the audit, for each of them')
    .option('--plan <file>', 'write the plan to a file that is not there yet')
    .option('--into <url>', 'another database than the source, to look first')
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, one: string, other: string, options: UnmergeOptions): Promise<void> {
  refuseWithoutPurpose(options.purpose ?? '')
  const policy = UNMERGE_POLICIES.find((known) => known === options.policy)
  if (!policy)
    throw new Failure('bad-usage', `there is no policy ${options.policy} of taking a merge apart`, {
      hints: [`Policies: ${UNMERGE_POLICIES.join(', ')}.`],
    })
  const wish = { policy, give: options.give.map(namedRow), acceptLoss: options.acceptLoss }
  await withPatientState(cli, options, async ({ configured, repository, stored }) => {
    const subjects = [one, other].map((patient) => pseudonymOf(repository, patient))
    const deed = { actor: actorOf(cli), action: 'patient.plan-unmerge', detail: options.purpose ?? '' }
    const plan = await repository.audit.aroundEach(deed, subjects, cli.nowMs, async () => {
      const order = planOrder(cli, repository, await readConnection(cli, configured, options.into))
      const made = await makeUnmergePlan(order, { stored, patients: [one, other], asked: options.at, wish })
      return await keepPlan(made, options.plan ?? null)
    })
    await showPlan(cli, plan, options)
    if (options.json) return
    if (options.plan === undefined) cli.terminal.out('Nothing was written. Give --plan FILE to keep this plan.')
    else cli.terminal.out(`Nothing was changed. Next: chartkeep approve ${options.plan}, by another person.`)
  })
}
