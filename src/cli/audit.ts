import type { Command } from 'commander'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { openConfiguredRepository, readConfiguration } from './open.ts'
import { formatTable } from './terminal.ts'

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'audit',
    summary: 'show what was done by whom',
    description: 'Reads the whole record, verifies its chain link by link, and prints it, oldest first.',
    examples: ['chartkeep audit', 'chartkeep audit --json > audit.jsonl'],
    failures: ['missing-secret', 'wrong-key', 'repository-not-found', 'repository-damaged'],
  })
  withConfiguration(command).action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: CommonOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const entries = await repository.audit.read()
  if (options.json) {
    for (const entry of entries) cli.terminal.out(JSON.stringify({ type: 'audit', ...entry }))
    return
  }
  const rows = entries.map(({ time, actor, action: deed, subject, outcome, detail }) => [
    time,
    actor,
    deed,
    subject,
    outcome,
    detail,
  ])
  for (const line of formatTable(['time', 'who', 'what', 'on', 'outcome', 'detail'], rows, [])) cli.terminal.out(line)
}
