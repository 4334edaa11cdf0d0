/** What the commands that tell the past share: from when to when, whether values are shown and why, and how it looks. */
import type { Command } from 'commander'
import { chooseSource } from '../config.ts'
import { Failure } from '../errors.ts'
import type { HistoryEvent, HistoryGap } from '../repository/history/event.ts'
import { parseEdge } from '../repository/history/interval.ts'
import type { AskedPast } from '../repository/history/read-all.ts'
import type { Repository } from '../repository/repository.ts'
import { placeWords, shownEvent, timeRecord } from '../restore/patient/event-view.ts'
import type { OwnRestore } from '../restore/patient/own-restores.ts'
import { type Cli, type CommonOptions, withConfiguration } from './command.ts'
import { openConfiguredRepository, readConfiguration } from './open.ts'

export interface PastOptions extends CommonOptions {
  readonly since?: string
  readonly until?: string
  readonly values: boolean
  readonly purpose?: string
}

export const PAST_FAILURES = [
  'missing-secret',
  'wrong-key',
  'repository-not-found',
  'snapshot-not-found',
  'change-log-gap',
  'repository-damaged',
] as const

export function withInterval(command: Command): Command {
  return withConfiguration(command)
    .option('--since <moment>', 'from then on: a time with its offset, or an LSN; the oldest snapshot when not given')
    .option('--until <moment>', 'up to then; the last change kept when not given')
    .option('--values', 'show values, and keys, instead of masking them', false)
}

/** Opens the repository, and does `work` with what was asked. */
export async function withPast<T>(
  cli: Cli,
  options: PastOptions,
  work: (asked: AskedPast & { readonly repository: Repository }) => Promise<T>,
): Promise<T> {
  if (options.values && (options.purpose ?? '').trim() === '') {
    throw new Failure('bad-usage', 'values are shown for a purpose, and none was given', {
      hints: ['Give --purpose, for example --purpose "request 2026-117"; or leave --values out.'],
    })
  }
  const interval = {
    since: options.since === undefined ? null : parseEdge(options.since),
    until: options.until === undefined ? null : parseEdge(options.until),
  }
  const configuration = await readConfiguration(cli, options)
  const sourceName = chooseSource(configuration, options.source).name
  await using repository = await openConfiguredRepository(cli, configuration)
  return await work({
    repository,
    sourceName,
    interval,
    signal: cli.signal,
    onSegment: (segment) => cli.terminal.status(`changes: segment ${segment}`),
  })
}

export function eventRecord(event: HistoryEvent, repository: Repository, showValues: boolean) {
  return { type: 'event', ...shownEvent(event, repository.keyring, showValues), at: timeRecord(event.time) }
}

/** Its kind and row, then what changed; or every column of a row that came or went, where values are shown. */
export function eventLines(event: HistoryEvent, repository: Repository, showValues: boolean): string[] {
  const { kind, table, row, key, columns } = shownEvent(event, repository.keyring, showValues)
  const named = Object.entries(key).map(([column, value]) => `${column}=${value}`)
  const lines = [`  ${kind.padEnd(8)} ${[table, ...named, row ?? ''].join(' ').trimEnd()}`]
  const isWhole = event.before === null || event.after === null
  for (const { name, before, after } of isWhole && !showValues ? [] : columns) {
    lines.push(isWhole ? `    ${name}: ${before ?? after}` : `    ${name}: ${before} → ${after}`)
  }
  return lines
}

export function gapLine({ table, reason, from }: HistoryGap): string {
  return `not known  ${table} since ${placeWords(from)}: ${reason}`
}

export function gapRecord({ table, reason, from }: HistoryGap) {
  return { type: 'gap', table, since: placeWords(from), reason }
}

export function ownRecord(own: OwnRestore | null) {
  return own === null ? {} : { ours: own }
}
