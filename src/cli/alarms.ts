import { Command } from 'commander'
import { failures } from '../errors.ts'
import { AlarmStore } from '../service/alarm/alarm-store.ts'
import { acknowledge } from '../service/service.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatTable } from './terminal.ts'

interface ListOptions extends CommonOptions {
  readonly all: boolean
  readonly lang: string
}

interface AckOptions extends CommonOptions {
  readonly reason: string
}

export function register(program: Command, cli: Cli): void {
  const alarms = new Command('alarms')
    .summary('what the service found wrong, and who looks after it')
    .description(
      'Alarms that `chartkeep serve` raised: people are told of them again and again until somebody acknowledges them.',
    )
    .exitOverride()
  alarms.addCommand(listCommand(cli))
  alarms.addCommand(ackCommand(cli))
  program.addCommand(alarms)
}

function listCommand(cli: Cli): Command {
  const command = describe({
    name: 'list',
    summary: 'show alarms that are open',
    description: 'Newest first. What the service could not write, because the store was down, is not among them.',
    examples: ['chartkeep alarms list', 'chartkeep alarms list --all --json'],
    failures: ['missing-secret', 'wrong-key', 'repository-not-found', 'store-unreachable'],
  })
  return withConfiguration(command)
    .option('--all', 'those that are over, too', false)
    .option('--lang <language>', 'en or zh', 'zh')
    .action(action(cli, list))
}

function ackCommand(cli: Cli): Command {
  const command = describe({
    name: 'ack',
    summary: 'acknowledge an alarm: somebody looks after it',
    description:
      'Nobody is told of it again. It is over when its cause is gone; who acknowledged it, and why, is in the audit.',
    examples: ['chartkeep alarms ack 12 --reason "disk ordered, arrives on Monday"'],
    failures: ['missing-secret', 'wrong-key', 'repository-not-found', 'store-unreachable', 'not-found'],
  })
  return withConfiguration(command)
    .argument('<id>', 'as the list has it')
    .requiredOption('--reason <text>', 'what was found, or who looks after it; never a patient')
    .action(action(cli, ack))
}

async function list(cli: Cli, { all, lang, ...options }: ListOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const kept = await new AlarmStore(repository).readAll()
  const alarms = kept.alarms.filter(({ endedAt }) => all || endedAt === null)
  for (const id of kept.unreadable) {
    cli.terminal.err(`alarm ${id} cannot be read: its record is damaged in the store`)
    cli.setExitStatus(failures['repository-damaged'].exit)
  }
  if (options.json) {
    for (const { key: _, events: __, ...alarm } of alarms) cli.terminal.out(JSON.stringify({ type: 'alarm', ...alarm }))
    return
  }
  const rows = alarms.map(({ id, severity, raisedAt, endedAt, acknowledged, text }) => [
    id,
    severity,
    raisedAt,
    endedAt !== null ? `over ${endedAt}` : acknowledged ? `seen by ${acknowledged.by}` : 'open',
    lang === 'en' ? text.en : text.zh,
  ])
  for (const line of formatTable(['id', 'severity', 'since', 'state', 'what'], rows, [])) cli.terminal.out(line)
}

async function ack(cli: Cli, id: string, { reason, ...options }: AckOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const parts = { store: new AlarmStore(repository), repository, nowMs: cli.nowMs() }
  const alarm = await acknowledge(parts, id, { person: actorOf(cli), reason })
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'alarm', ...alarm }))
  else cli.terminal.out(`alarm ${alarm.id} acknowledged: nobody is told of it again`)
}
