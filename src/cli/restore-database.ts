import type { Command } from 'commander'
import { chooseSource } from '../config.ts'
import { redactUrl } from '../database-url.ts'
import { BuildPool } from '../intake/build-pool.ts'
import { type ChosenSnapshot, chooseSnapshot } from '../restore/choose-snapshot.ts'
import { type RestoreProgress, type RestoreReport, restoreDatabase } from '../restore/database.ts'
import { argumentConnection } from '../secrets.ts'
import { openTarget } from '../source/open.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatBytes, formatCount, formatSeconds } from './terminal.ts'

interface RestoreOptions extends CommonOptions {
  readonly at: string
  readonly into: string
  readonly dryRun: boolean
}

export function register(restore: Command, cli: Cli): void {
  const command = describe({
    name: 'database',
    summary: 'rebuild a whole database into an empty one, and prove it',
    description:
      'Rebuilds schema, rows, keys, indexes and sequences into an empty database that is not the source, then computes\n' +
      "every root anew from the rebuilt rows: it ends with success only when all of them equal the snapshot's.\n" +
      'A restore that was stopped leaves its mark on the database; the next one clears what it marked, and begins anew.',
    examples: [
      'createdb -h drill-1 -T template0 icu_restore',
      'chartkeep restore database --at latest --into postgres://drill-1/icu_restore',
      'chartkeep restore database --at 2026-03-01T10:15:00+08:00 --into postgres://drill-1/icu_restore --dry-run',
    ],
    failures: [
      'missing-secret',
      'wrong-key',
      'snapshot-not-found',
      'repository-damaged',
      'target-not-empty',
      'target-is-source',
      'target-failed',
      'restore-unproved',
    ],
  })
  withConfiguration(command)
    .option('--at <target>', "'latest', a snapshot, or a time with its offset", 'latest')
    .requiredOption('--into <url>', 'an empty database; the password from PGPASSWORD or a pgpass file')
    .option('--dry-run', 'show what would be restored; change nothing', false)
    .action(
      action(
        cli,
        (options: RestoreOptions) => options.json,
        (options) => run(cli, options),
      ),
    )
  restore.addCommand(command)
}

async function run(cli: Cli, options: RestoreOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  const sourceName = options.source ?? chooseSource(configuration).name
  const chosen = await chooseSnapshot(repository, options.at, sourceName)
  const into = await argumentConnection(options.into, cli.world)
  if (!options.json) showPlan(cli, chosen, options)
  if (options.dryRun) {
    await using target = await openTarget(into)
    await target.assertUsable(chosen.manifest.source)
    if (!options.json) cli.terminal.out('Nothing was changed. Run again without --dry-run to restore.')
    else cli.terminal.out(JSON.stringify({ type: 'plan', snapshot: chosen.manifest.snapshotId, dryRun: true }))
    return
  }
  await using buildPool = new BuildPool()
  const { snapshotId } = chosen.manifest
  const deed = { actor: actorOf(cli), action: 'restore.database', subject: snapshotId, detail: redactUrl(options.into) }
  const restore = () =>
    restoreDatabase({
      repository,
      manifest: chosen.manifest,
      into,
      buildPool,
      signal: cli.signal,
      nowMs: cli.nowMs,
      onProgress: (event) => showProgress(cli, event),
    })
  const report = await repository.audit.around(deed, cli.nowMs, restore)
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'restore', ...report }))
  else showReport(cli, report)
}

function showPlan(cli: Cli, { manifest, secondsBefore }: ChosenSnapshot, options: RestoreOptions): void {
  const { out } = cli.terminal
  const distance = secondsBefore === null ? '' : `, ${formatSeconds(secondsBefore)} before ${options.at}`
  const bytes = manifest.tables.reduce((sum, table) => sum + table.rows.textBytes, 0)
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows.rows, 0)
  out(`source    ${manifest.sourceName} (${manifest.source.engine} ${manifest.source.serverVersion})`)
  out(`snapshot  ${manifest.snapshotId}, as of ${manifest.position.sourceTime}${distance}`)
  out(`rows      ${formatCount(rows)} in ${manifest.tables.length} tables, ${formatBytes(bytes)} of text`)
  out(`into      ${redactUrl(options.into)}`)
}

function showProgress(cli: Cli, event: RestoreProgress): void {
  const { terminal } = cli
  if (event.kind === 'stage') {
    terminal.status(event.stage)
    return
  }
  const share = event.bytesTotal === 0 ? 100 : Math.floor((100 * event.bytes) / event.bytesTotal)
  terminal.status(`rows: ${share} %, ${formatBytes(event.bytes)}, ${formatBytes(event.bytesPerSecond)}/s`)
}

function showReport(cli: Cli, report: RestoreReport): void {
  const { out } = cli.terminal
  out(`usable    after ${formatSeconds(report.secondsUsable)}: rows, keys, indexes, sequences`)
  out(`proved    every root equals the snapshot's, in ${formatSeconds(report.secondsProof)}`)
  for (const item of report.skipped) out(`skipped   ${item.kind} ${item.name}: ${item.reason}`)
  if (report.notCaptured.length > 0) {
    out(`not held  ${report.notCaptured.length} objects: chartkeep show ${report.snapshot}`)
  }
}
