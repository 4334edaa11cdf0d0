import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { chooseSource } from '../config.ts'
import { redactUrl } from '../database-url.ts'
import { BuildPool } from '../intake/build-pool.ts'
import type { Repository } from '../repository/repository.ts'
import { type StateProgress, stateAt } from '../repository/state/state.ts'
import { resolveTarget, type StateTarget } from '../repository/state/target.ts'
import { type RestoreProgress, type RestoreReport, restoreDatabase } from '../restore/database.ts'
import { argumentConnection } from '../secrets.ts'
import type { ConnectionSettings } from '../source/contract.ts'
import { openTarget } from '../source/open.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, announce, openConfiguredRepository, readConfiguration } from './open.ts'
import { planLines, planRecord, restorePlan } from './restore-plan.ts'
import { formatBytes, formatSeconds } from './terminal.ts'

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
      'every root anew from the rebuilt rows: it ends with success only when all of them equal those that are kept.\n' +
      'A time is answered to the transaction where changes were captured: the nearest snapshot before it, and the change\n' +
      'log up to the last commit that no later one precedes. What is not kept at that moment is refused, from when to when.\n' +
      'A restore that was stopped leaves its mark on the database; the next one clears what it marked, and begins anew.',
    examples: [
      'createdb -h drill-1 -T template0 icu_restore',
      'chartkeep restore database --at latest --into postgres://drill-1/icu_restore',
      'chartkeep restore database --at 2026-03-01T10:15:00+08:00 --into postgres://drill-1/icu_restore --dry-run',
      'chartkeep restore database --at 16/B3772A10 --into postgres://drill-1/icu_restore',
      'chartkeep restore database --at before:1f2e3d4c-16/B3772A10-742 --into postgres://drill-1/icu_restore',
    ],
    failures: [
      'missing-secret',
      'wrong-key',
      'snapshot-not-found',
      'repository-damaged',
      'change-log-gap',
      'target-not-empty',
      'target-is-source',
      'target-failed',
      'restore-unproved',
    ],
  })
  withConfiguration(command)
    .option(
      '--at <target>',
      "'latest' (the newest snapshot), 'now' (the last change kept), a snapshot, a time, an LSN, or before:CHANGE",
      'latest',
    )
    .requiredOption('--into <url>', 'an empty database; the password from PGPASSWORD or a pgpass file')
    .option('--dry-run', 'show what would be restored; change nothing', false)
    .action(action(cli, run))
  restore.addCommand(command)
}

async function run(cli: Cli, options: RestoreOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  await using _reading = await announce(cli, repository, 'a restore')
  const sourceName = options.source ?? chooseSource(configuration).name
  const target = await resolveTarget({ repository, sourceName, at: options.at })
  const into = await argumentConnection(options.into, cli.world)
  const plan = await restorePlan(repository, target, options)
  if (!options.json) for (const line of planLines(plan)) cli.terminal.out(line)
  if (options.dryRun) {
    await assertUsable(into, target)
    if (!options.json) cli.terminal.out('Nothing was changed. Run again without --dry-run to restore.')
    else cli.terminal.out(JSON.stringify({ type: 'plan', dryRun: true, ...planRecord(plan) }))
    return
  }
  const deed = {
    actor: actorOf(cli),
    action: 'restore.database',
    subject: target.base.snapshotId,
    detail: `${options.at} ${redactUrl(options.into)}`,
  }
  const report = await repository.audit.around(deed, cli.nowMs, () => restore(cli, repository, target, into))
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'restore', ...report, plan: planRecord(plan) }))
  else showReport(cli, report, target)
}

async function restore(cli: Cli, repository: Repository, target: StateTarget, into: ConnectionSettings) {
  await using state = await stateAt(repository, target, {
    temporaryDirectory: tmpdir(),
    random: randomBytes,
    signal: cli.signal,
    onProgress: (progress) => showFolding(cli, progress),
  })
  await using buildPool = new BuildPool()
  return await restoreDatabase({
    repository: state.repository,
    manifest: state.manifest,
    into,
    buildPool,
    signal: cli.signal,
    nowMs: cli.nowMs,
    onProgress: (event) => showProgress(cli, event),
  })
}

async function assertUsable(into: ConnectionSettings, { base }: StateTarget): Promise<void> {
  await using target = await openTarget(into)
  await target.assertUsable(base.source)
}

function showFolding(cli: Cli, progress: StateProgress): void {
  if (progress.kind === 'segment') cli.terminal.status(`changes: segment ${progress.segment} of ${progress.of}`)
  else cli.terminal.status(`changes: ${progress.table}`)
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

function showReport(cli: Cli, report: RestoreReport, { coarse }: StateTarget): void {
  const { out } = cli.terminal
  out(`usable    after ${formatSeconds(report.secondsUsable)}: rows, keys, indexes, sequences`)
  out(`proved    every root equals the snapshot's, in ${formatSeconds(report.secondsProof)}`)
  for (const { kind, name, reason } of report.skipped) {
    const twoMoments = kind === 'foreign key' && coarse.length > 0 ? '; tables named as older may be why' : ''
    out(`skipped   ${kind} ${name}: ${reason}${twoMoments}`)
  }
  if (report.notCaptured.length > 0) {
    out(`not held  ${report.notCaptured.length} objects: chartkeep show ${report.snapshot}`)
  }
}
