import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { type Hold, isInForce, placeHold, readHolds, releaseHolds } from '../backup/retention/hold.ts'
import { Failure } from '../errors.ts'
import { formatTimeUs, parseMoment } from '../repository/state/moment.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatTable } from './terminal.ts'

interface HoldOptions extends CommonOptions {
  readonly reason?: string
  readonly until?: string
  readonly list: boolean
  readonly release: boolean
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'hold',
    summary: 'keep a snapshot, whatever the rules say',
    description:
      'A held snapshot is not forgotten before the hold ends or is released: for a dispute, an audit, an inquiry. Who held it,\n' +
      'why, and until when, stands in the repository and in the audit. It keeps the snapshot, not the moments behind it.',
    examples: [
      'chartkeep hold 20260301T060000Z-1f2e3d4c --reason "inquiry 17/2026" --until 2027-03-01T00:00:00+08:00',
      'chartkeep hold --list',
      'chartkeep hold 20260301T060000Z-1f2e3d4c --release --reason "inquiry 17/2026 is closed"',
    ],
    failures: ['missing-secret', 'wrong-key', 'snapshot-not-found', 'repository-damaged', 'lease-held'],
  })
  command.argument('[snapshot]', 'which one; with --release also the id of one hold')
  withConfiguration(command)
    .option('--reason <text>', 'why: anybody who may read the audit reads it, so no patient in it')
    .option('--until <time>', 'when it ends, with its offset; without: when it is released')
    .option('--list', 'show all holds', false)
    .option('--release', 'end the holds of this snapshot now', false)
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, snapshot: string | undefined, options: HoldOptions): Promise<void> {
  const { reason } = options
  if (!options.list && (snapshot === undefined || reason === undefined || reason.trim() === '')) {
    throw new Failure('bad-usage', 'a hold needs a snapshot and a reason', {
      hints: ['Run `chartkeep snapshots` to see which there are, and give --reason TEXT.'],
    })
  }
  const until = options.until === undefined ? null : timeOf(options.until)
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const { nowMs, signal } = cli
  const world = { repository, actor: actorOf(cli), nowMs, signal, random: randomBytes }
  if (options.list) return showAll(cli, await readHolds(repository, await repository.audit.read()), options.json)
  if (options.release) {
    const released = await releaseHolds(world, snapshot!, reason!)
    for (const hold of released) showOne(cli, 'released', hold, options.json)
    return
  }
  showOne(cli, 'held', await placeHold(world, { snapshotId: snapshot!, reason: reason!, until }), options.json)
}

function timeOf(text: string): string {
  const moment = parseMoment(text)
  if (moment.kind === 'time') return new Date(Date.parse(formatTimeUs(moment.timeUs))).toISOString()
  throw new Failure('bad-usage', `--until needs a time, not '${text}'`, {
    hints: ['With its offset: 2027-03-01T00:00:00+08:00.'],
  })
}

function showOne(cli: Cli, what: 'held' | 'released', hold: Hold, json: boolean): void {
  const until = hold.until === null ? 'until it is released' : `until ${hold.until}`
  const line = `${what.padEnd(8)}  ${hold.snapshotId}  ${what === 'held' ? until : ''}`.trimEnd()
  cli.terminal.out(json ? JSON.stringify({ type: what, ...hold }) : line)
}

function showAll(cli: Cli, holds: readonly Hold[], json: boolean): void {
  if (json) {
    for (const hold of holds) cli.terminal.out(JSON.stringify({ type: 'hold', ...hold }))
    return
  }
  if (holds.length === 0) cli.terminal.out('nothing is held')
  const rows = holds.map((hold) => [
    hold.holdId,
    hold.snapshotId,
    isInForce(hold, cli.nowMs()) ? (hold.until ?? 'released') : `ended ${hold.until}`,
    hold.actor,
    hold.vanished ? `${hold.reason} (its object is gone: the audit holds it)` : hold.reason,
  ])
  if (rows.length === 0) return
  for (const line of formatTable(['hold', 'snapshot', 'until', 'by', 'why'], rows, [])) cli.terminal.out(line)
}
