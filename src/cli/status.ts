import type { Command } from 'commander'
import { lateness, type ProtectionStatus, protectionStatus } from '../backup/status.ts'
import { chooseSource } from '../config.ts'
import { Failure } from '../errors.ts'
import { type OpenEmergency, openEmergencies } from '../restore/patient/counter-signature.ts'
import { sourceConnection } from '../secrets.ts'
import { openSource } from '../source/open.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { lateDrills } from './drill-duty.ts'
import { openConfiguredRepository, readConfiguration } from './open.ts'
import { formatBytes, formatCount, formatSeconds } from './terminal.ts'

interface StatusOptions extends CommonOptions {
  readonly maxAge?: string
}

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'status',
    summary: 'how well a source is protected now',
    description:
      'The last snapshot, up to when changes are kept, what the database keeps for us, which tables have no points in\n' +
      'time and what would change that, and gaps. With --max-age it fails when nothing later than that is kept: for\n' +
      'monitoring; or when changes that were kept are gone from the store. It works while the database is down, and says\n' +
      'what it could not ask.',
    examples: ['chartkeep status', 'chartkeep status --max-age 10m --json'],
    failures: ['missing-secret', 'wrong-key', 'repository-not-found', 'store-unreachable', 'protection-late'],
  })
  withConfiguration(command)
    .option('--max-age <duration>', 'how old the last thing kept may be: 90s, 10m, 2h, 1d')
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: StatusOptions): Promise<void> {
  const maxAgeSeconds = options.maxAge === undefined ? null : parseDuration(options.maxAge)
  const configuration = await readConfiguration(cli, options)
  const configured = chooseSource(configuration, options.source)
  await using repository = await openConfiguredRepository(cli, configuration)
  const status = await protectionStatus({
    repository,
    sourceName: configured.name,
    layout: configured,
    openSource: async () => await openSource(await sourceConnection(configured, cli.world)),
    nowMs: cli.nowMs,
  })
  const drills = (await lateDrills(repository, { sources: [configured] }, cli.nowMs())).map(({ message }) => message)
  const emergencies = await openEmergencies(repository)
  const notes = [...drills.map((text) => `drill      ${text}`), ...emergencies.map(emergencyLine)]
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'status', ...status, drills, emergencies }))
  else for (const line of [...linesOf(status), ...notes]) cli.terminal.out(line)
  const late = maxAgeSeconds === null ? null : lateness(status, maxAgeSeconds)
  if (late === null) return
  throw new Failure('protection-late', `source ${configured.name}: ${late}`, {
    hints: ['See that `chartkeep capture` runs and reaches database and store; then run `chartkeep backup`.'],
  })
}

/** @returns seconds. @throws bad-usage */
function parseDuration(text: string): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (count !== undefined && unit !== undefined) return Number(count) * SECONDS[unit as keyof typeof SECONDS]
  throw new Failure('bad-usage', `${text} is not a duration`, { hints: ['Write it as 90s, 10m, 2h or 1d.'] })
}

function linesOf(status: ProtectionStatus): string[] {
  const { snapshot, log, capture, protectedUntil, protectedAgeSeconds } = status
  const lines = [`source     ${status.source}`]
  lines.push(
    protectedUntil === null
      ? 'protected  not at all: there is no snapshot'
      : `protected  until ${protectedUntil}, ${formatSeconds(protectedAgeSeconds ?? 0)} ago`,
  )
  if (snapshot) {
    const carries = snapshot.carriesOn ? 'changes carry on from it' : 'no changes carry on from it'
    const { snapshot: id, mode, position } = snapshot
    lines.push(`snapshot   ${id}, ${mode}, at ${position}, ${formatSeconds(snapshot.ageSeconds)} ago; ${carries}`)
  }
  if (log) {
    const age = log.ageSeconds === null ? '' : `, everything until ${formatSeconds(log.ageSeconds)} ago`
    lines.push(`changes    log ${log.logId}: ${formatCount(log.segments)} segments up to ${log.end}${age}`)
  } else {
    lines.push('changes    not captured: `chartkeep capture` follows them')
  }
  if (capture) lines.push(`capture    by ${capture.holder}, seen at ${capture.renewedAt}`)
  return [...lines, ...slotLines(status), ...tableLines(status)]
}

function emergencyLine({ changesetId, executor, startedAt }: OpenEmergency): string {
  return `open       changeset ${changesetId} of ${startedAt} by ${executor}: an emergency that nobody has counter-signed`
}

function slotLines({ slot }: ProtectionStatus): string[] {
  if (!slot) return []
  const of = slot.limitBytes === null ? ', without a limit' : ` of ${formatBytes(slot.limitBytes)}`
  const state = slot.active ? 'followed' : 'NOT followed by anybody'
  const behind = `the log is ${formatBytes(slot.lagBytes)} behind`
  return [
    `slot       ${slot.slot}, ${state}, ${slot.walStatus}: keeps ${formatBytes(slot.retainedBytes)}${of}; ${behind}`,
  ]
}

function tableLines({ coarse, closed, gaps, lostTail, notAsked }: ProtectionStatus): string[] {
  const lines: string[] = []
  if (lostTail) {
    const { log, from, to } = lostTail
    lines.push(`lost       ${from} to ${to}: log ${log} had them, and its newest segments are gone from the store`)
    lines.push('           bring them back from a copy, or run chartkeep backup')
  }
  for (const { table, reason, from } of closed) {
    lines.push(`closed     ${table} ${reason}: no points in time since ${from}; run chartkeep backup`)
  }
  for (const { table, reason, remedySql } of coarse) {
    lines.push(`coarse     ${table}: at snapshots only: ${reason}`)
    if (remedySql !== null) lines.push(`           ${remedySql}`)
  }
  for (const { from, to, begunAt, reason } of gaps) {
    lines.push(`gap        ${from ?? 'unknown'} to ${to}, ended ${begunAt}: ${reason}`)
  }
  for (const what of notAsked) lines.push(`not asked  ${what}`)
  return lines
}
