import type { Command } from 'commander'
import { Failure } from '../errors.ts'
import { resolvePseudonym } from '../verify/pseudonym.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'

interface PseudonymOptions extends CommonOptions {
  readonly purpose: string
}

const PSEUDONYM = /^P-[A-Z2-7]{16}$/

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'pseudonym',
    summary: 'say which patient a finding speaks of',
    description:
      'Findings, logs and metrics name patients by pseudonym only. This looks through the snapshots for the one meant,\n' +
      'and prints the key and the label columns. Who asked, and why, goes into the audit before the answer is shown.',
    examples: ['chartkeep pseudonym P-ABCDEFGHIJKLMNOP --purpose "finding of 1 March, bed 3"'],
    failures: ['missing-secret', 'wrong-key', 'repository-not-found', 'object-missing-in-source'],
  })
  command.argument('<pseudonym>', 'as a finding names it')
  withConfiguration(command).requiredOption('--purpose <text>', 'why you have to know').action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, pseudonym: string, options: PseudonymOptions): Promise<void> {
  if (!PSEUDONYM.test(pseudonym)) {
    throw new Failure('bad-usage', 'a pseudonym is P- and 16 letters A to Z or digits 2 to 7', {
      hints: ['Copy it from the finding.'],
    })
  }
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const deed = { actor: actorOf(cli), action: 'pseudonym.resolve', subject: pseudonym, detail: options.purpose }
  const found = await repository.audit.around(deed, cli.nowMs, async () => {
    const patient = await resolvePseudonym(repository, pseudonym)
    if (patient) return patient
    throw new Failure('object-missing-in-source', `no snapshot holds a patient of pseudonym ${pseudonym}`)
  })
  if (options.json) return cli.terminal.out(JSON.stringify({ type: 'patient', pseudonym, ...found }))
  cli.terminal.out(`patient   ${found.key}`)
  for (const [column, value] of Object.entries(found.label)) cli.terminal.out(`${column.padEnd(9)} ${value}`)
  cli.terminal.out(`snapshot  ${found.snapshot}`)
}
