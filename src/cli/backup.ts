import type { Command } from 'commander'
import type { ProgressEvent } from '../backup/progress.ts'
import { type SnapshotReport, takeSnapshot } from '../backup/snapshot.ts'
import { BuildPool } from '../intake/build-pool.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, openConfiguredSource, readConfiguration } from './open.ts'
import { formatBytes, formatCount, formatSeconds } from './terminal.ts'

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'backup',
    summary: 'take a snapshot',
    description:
      'Every table as of one moment, while the wards work; what the repository does not have yet is stored.\n' +
      'Where `chartkeep capture` runs, the changes since the last snapshot are worked into it, and nothing but what they\n' +
      'do not tell is read; where it does not, every row is read. The snapshot says which, and why.\n' +
      'The first snapshot of a source is its base. Readers and writers of the database are not blocked; should the\n' +
      'application wait for us (an ALTER TABLE, say), we let go at once and try again.\n' +
      'A run that is stopped leaves every earlier snapshot as it was; run it again.',
    examples: ['chartkeep backup', 'chartkeep backup --config /etc/chartkeep.yaml --json'],
    failures: [
      'missing-secret',
      'wrong-key',
      'source-unreachable',
      'missing-rights',
      'rows-hidden',
      'yielded-to-application',
      'duplicate-key',
      'lease-held',
      'repository-not-found',
      'store-unreachable',
      'store-full',
      'local-disk-full',
    ],
  })
  withConfiguration(command).action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: CommonOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  const { configured, source } = await openConfiguredSource(cli, configuration, options)
  await using _ = source
  await using pool = new BuildPool()
  const deed = { actor: actorOf(cli), action: 'snapshot.take', subject: configured.name, detail: '' }
  const take = () =>
    takeSnapshot({
      sourceName: configured.name,
      source,
      layout: configured,
      repository,
      pool,
      signal: cli.signal,
      nowMs: cli.nowMs,
      sleep: cli.sleep,
      holder: actorOf(cli),
      onProgress: (event) => showProgress(cli, event),
    })
  const report = await repository.audit.around(deed, cli.nowMs, take, (taken) => taken.snapshot)
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'snapshot', ...report }))
  else showReport(cli, report)
}

function showProgress(cli: Cli, event: ProgressEvent): void {
  const { terminal } = cli
  if (event.kind === 'yielded') {
    terminal.err(`the application waited for us: let go, and trying again in ${event.pauseMs / 1000} s`)
  } else if (event.kind === 'adopted') {
    terminal.err(
      `an earlier run was interrupted: ${formatCount(event.leaves)} leaves of ${event.packs} packs need not be stored again`,
    )
    if (event.damagedPacks > 0) terminal.err(`${event.damagedPacks} of its packs are damaged and are not used`)
    if (event.packsLeftAside > 0) terminal.err(`${event.packsLeftAside} more packs were left aside: there are too many`)
  } else if (event.kind === 'reads-in-full') {
    terminal.err(`not along the change log, every row is read: ${event.reason}`)
  } else if (event.kind === 'folded') {
    terminal.status(`${event.table} carried on`)
  } else if (event.kind === 'progress') {
    const left = event.secondsLeft === null ? '' : `, about ${formatSeconds(event.secondsLeft)} left`
    terminal.status(
      `${event.tablesDone}/${event.tables} tables, ${formatBytes(event.bytesRead)} read, ` +
        `${formatBytes(event.bytesPerSecond)}/s${left}  ${event.table}`,
    )
  }
}

function showReport(cli: Cli, report: SnapshotReport): void {
  const { out } = cli.terminal
  const ratio = report.bytesStored > 0 ? `, ${(report.bytesRead / report.bytesStored).toFixed(1)} to 1` : ''
  out(`snapshot  ${report.snapshot}`)
  out(`mode      ${report.mode}: ${report.modeReason}`)
  out(`position  ${report.position}`)
  out(`rows      ${formatCount(report.rows)} in ${report.tables} tables`)
  if (report.tablesFolded > 0) {
    out(
      `folded    ${report.tablesFolded} tables: ${formatCount(report.changes)} changes in ${formatCount(report.transactions)} transactions`,
    )
  }
  if (report.log !== null) out(`log       ${report.log}: changes carry on from here`)
  out(`read      ${formatBytes(report.bytesRead)} in ${formatSeconds(report.seconds)}`)
  out(`stored    ${formatBytes(report.bytesStored)}${ratio}`)
  out(
    `leaves    ${formatCount(report.leavesStored)} new, ${formatCount(report.leavesReused)} shared with earlier snapshots`,
  )
  if (report.tablesHealed.length > 0) {
    out(
      `healed    earlier snapshots are damaged in ${report.tablesHealed.join(', ')}: stored again; run chartkeep check`,
    )
  }
  for (const { table, since } of report.changesLeftOut) {
    out(
      `left out  ${table}: snapshots after ${since} may lack changes that the database did not tell; this one has them`,
    )
  }
  if (report.notCaptured > 0) {
    out(`not held  ${report.notCaptured} objects: chartkeep show ${report.snapshot}`)
  }
}
