import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { type ForgetPlan, forget, planForget, reasonText, type SnapshotFate } from '../backup/retention/forget.ts'
import { chooseSource, type SourceConfiguration } from '../config.ts'
import { Failure } from '../errors.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatTable } from './terminal.ts'

/** Of whatever goes by the rules of retention. */
export const RETENTION_FAILURES = [
  'missing-secret',
  'wrong-key',
  'repository-damaged',
  'store-unreachable',
  'store-lied',
  'lease-held',
  'clock-doubtful',
] as const

export interface RetentionOptions extends CommonOptions {
  readonly dryRun: boolean
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'forget',
    summary: 'give up the snapshots that no rule keeps',
    description:
      'Goes by `retention` of the source in the configuration: last, hourly, daily, weekly, monthly and yearly count snapshots,\n' +
      'window keeps every moment of so long before the newest one. The newest, and what `chartkeep hold` holds, always stay.\n' +
      'Says of each snapshot why it stays, or that it goes. What a snapshot held alone is deleted by `chartkeep prune`.',
    examples: ['chartkeep forget --dry-run', 'chartkeep forget --source icu', 'chartkeep forget --dry-run --json'],
    failures: RETENTION_FAILURES,
  })
  withConfiguration(command).option('--dry-run', 'show what would go; change nothing', false).action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: RetentionOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  const source = chooseSource(configuration, options.source)
  const { rules } = rulesOf(source)
  await using repository = await openConfiguredRepository(cli, configuration)
  const { nowMs, signal } = cli
  const request = {
    repository,
    actor: actorOf(cli),
    nowMs,
    signal,
    random: randomBytes,
    sourceName: source.name,
    rules,
  }
  const plan = options.dryRun ? await planForget(request) : await forget(request)
  if (options.json) showJson(cli, plan)
  else show(cli, plan, options.dryRun)
}

/** @throws bad-configuration: nothing goes by rules that nobody gave */
export function rulesOf({ name, retention }: SourceConfiguration): NonNullable<SourceConfiguration['retention']> {
  if (retention) return retention
  throw new Failure('bad-configuration', `source ${name} has no rules of retention, so every snapshot stays`, {
    hints: ['Add them, for example `retention: { last: 3, hourly: 24, daily: 14, monthly: 12, window: 14d }`.'],
  })
}

function showJson(cli: Cli, { sourceName: source, snapshots, unreadable }: ForgetPlan): void {
  for (const { snapshotId: snapshot, time, fate } of snapshots) {
    cli.terminal.out(JSON.stringify({ type: 'snapshot', source, snapshot, time, ...fate }))
  }
  for (const snapshot of unreadable) {
    cli.terminal.out(
      JSON.stringify({ type: 'snapshot', source: null, snapshot, kind: 'stays', reasons: ['unreadable'] }),
    )
  }
}

function show(cli: Cli, { snapshots, unreadable }: ForgetPlan, isDry: boolean): void {
  const rows = [...snapshots].reverse().map((each) => [each.snapshotId, each.time, each.fate.kind, whyOf(each)])
  for (const id of unreadable) rows.push([id, '?', 'stays', 'it cannot be read: run chartkeep check'])
  for (const line of formatTable(['snapshot', 'time (UTC)', '', 'why'], rows, [])) cli.terminal.out(line)
  const gone = snapshots.filter(({ fate }) => fate.kind === 'goes').length
  cli.terminal.out(`${gone} of ${snapshots.length} snapshots ${isDry ? 'would be' : 'are'} forgotten`)
  if (!isDry && gone > 0)
    cli.terminal.out('`chartkeep prune` marks what they held alone, and deletes it after the grace')
}

function whyOf({ fate }: SnapshotFate): string {
  return fate.kind === 'goes' ? fate.reason : fate.reasons.map(reasonText).join('; ')
}
