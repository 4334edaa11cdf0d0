import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { capture } from '../backup/capture/capture.ts'
import type { CaptureEvent } from '../backup/capture/events.ts'
import { CAPTURE_DEFAULTS, type CaptureSettings } from '../backup/capture/settings.ts'
import { type CaptureConfiguration, chooseSource } from '../config.ts'
import { sourceConnection } from '../secrets.ts'
import { openSource } from '../source/open.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatBytes, formatCount, formatSeconds } from './terminal.ts'

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'capture',
    summary: 'follow the changes of a source, and keep them',
    description:
      'Runs until it is stopped. Every committed change is in the repository a few seconds later, so that any moment\n' +
      'can be restored, and the next backup costs what changed. One runs for each source. It needs a replication slot,\n' +
      'which it makes, and a publication, which `chartkeep setup-sql` prints. What is not kept is not confirmed to the\n' +
      'database; when the slot is lost, a new change log says from when to when changes are missing. Whoever else wants\n' +
      "the processor has it first: on the database's own machine the application does not wait for it.\n" +
      'Stop it with Ctrl-C or SIGTERM: what has arrived is kept first.',
    examples: ['chartkeep capture', 'chartkeep capture --config /etc/chartkeep.yaml --json'],
    failures: [
      'missing-secret',
      'wrong-key',
      'source-unreachable',
      'missing-rights',
      'cannot-capture',
      'slot-in-use',
      'lease-held',
      'repository-not-found',
      'store-unreachable',
    ],
  })
  withConfiguration(command).action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: CommonOptions): Promise<void> {
  cli.giveWay()
  const configuration = await readConfiguration(cli, options)
  const configured = chooseSource(configuration, options.source)
  await using repository = await openConfiguredRepository(cli, configuration)
  const connection = await sourceConnection(configured, cli.world)
  const deed = { actor: actorOf(cli), action: 'capture.run', subject: configured.name, detail: '' }
  const work = () =>
    capture({
      repository,
      sourceName: configured.name,
      openSource: () => openSource(connection),
      layout: configured,
      settings: settingsOf(configured.capture),
      spillDirectory: tmpdir(),
      holder: actorOf(cli),
      nowMs: cli.nowMs,
      sleep: cli.sleep,
      random: randomBytes,
      onEvent: (event) => {
        if (options.json) cli.terminal.out(JSON.stringify({ type: 'capture', at: nowText(cli), ...event }))
        else showEvent(cli, event)
      },
      signal: cli.signal,
    })
  await repository.audit.around(deed, cli.nowMs, work)
}

export function settingsOf(configured: CaptureConfiguration): CaptureSettings {
  const { sealSeconds, slotBytesMax, allowUnlimitedSlot: allowsUnlimitedSlot } = configured
  const sealMs = sealSeconds === null ? CAPTURE_DEFAULTS.sealMs : sealSeconds * 1000
  return { ...CAPTURE_DEFAULTS, sealMs, slotBytesMax, allowsUnlimitedSlot }
}

function nowText(cli: Cli): string {
  return new Date(cli.nowMs()).toISOString()
}

function showEvent(cli: Cli, event: CaptureEvent): void {
  const { terminal } = cli
  if (event.kind === 'sealed') {
    const lag = event.lagMs === null ? '' : `, ${formatSeconds(event.lagMs / 1000)} after the last commit`
    terminal.status(`${event.end}  ${formatCount(event.changes)} changes kept in segment ${event.segment}${lag}`)
    return
  }
  for (const line of linesOf(event)) terminal.err(`${nowText(cli)}  ${line}`)
}

function linesOf(event: Exclude<CaptureEvent, { kind: 'sealed' }>): string[] {
  switch (event.kind) {
    case 'log-begun': {
      const begun = `change log ${event.logId} begins at ${event.start}`
      if (event.breakReason === null) return [`${begun}: run \`chartkeep backup\` for a snapshot to stand on`]
      return [`${begun}, because ${event.breakReason}`, 'changes before it are a gap: run `chartkeep backup`']
    }
    case 'lease-watched':
      return [`${event.holder} captured this source at ${event.renewedAt}: waiting to see whether it is alive`]
    case 'connected':
      return [`following ${event.tables} tables from ${event.end} on`]
    case 'closed':
      return event.tables.map(({ table, reason }) => `${table} ${reason}: no point in time until the next backup`)
    case 'dangers':
      return event.dangers.map(({ table, reason, remedySql }) => `danger: ${table}: ${reason}; run: ${remedySql}`)
    case 'pausing':
      return [`${event.code}: ${event.message}; trying again in ${formatSeconds(event.pauseMs / 1000)}`]
    case 'slot-alarm':
      return [
        `alarm: the database keeps ${formatBytes(event.retainedBytes)} of ${formatBytes(event.limitBytes)} for us`,
      ]
    case 'slot-dropped':
      return [`alarm: gave up the slot: the database kept ${formatBytes(event.retainedBytes)} for us`]
    case 'stopped':
      return [`stopped: kept up to ${event.end}`]
  }
}
