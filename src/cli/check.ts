import type { Command } from 'commander'
import { checkRepository } from '../verify/check.ts'
import { verification } from '../verify/finding.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { lateDrills } from './drill-duty.ts'
import { announce, openConfiguredRepository, readConfiguration } from './open.ts'
import { showVerification } from './verification-output.ts'

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'check',
    summary: 'is every object there, and every chain whole?',
    description:
      'Looks at the structure of the repository without reading rows: manifests and their chain, indexes, packs and\n' +
      'their sizes, every inner node of every tree, keys, ledger and audit; and whether a drill that the configuration asks\n' +
      'for is overdue. Minutes where scrub takes hours.\n' +
      'A finding names tables, snapshots and patients (by pseudonym). What could not be looked at is inconclusive,\n' +
      'and inconclusive is never passed.',
    examples: ['chartkeep check', 'chartkeep check --json'],
    failures: ['missing-secret', 'wrong-key', 'store-unreachable', 'findings-failed', 'findings-inconclusive'],
  })
  withConfiguration(command).action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: CommonOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  await using _reading = await announce(cli, repository, 'a check')
  const structure = await checkRepository({
    repository,
    signal: cli.signal,
    nowMs: cli.nowMs,
    onProgress: ({ treesDone, trees }) => cli.terminal.status(`${treesDone}/${trees} trees`),
  })
  const late = await lateDrills(repository, configuration, cli.nowMs())
  const result = verification([...structure.findings, ...late], structure.looked, structure.seconds)
  showVerification(cli, 'check', result, options.json)
}
