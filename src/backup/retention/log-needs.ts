/**
 * How much of each change log is needed. Of a source with a recovery window: from the snapshot on that the window's first
 * moments are told from. Of one without: from its oldest snapshot on. A snapshot by itself needs none of it.
 */
import { type LogStart, readLogStart } from '../../repository/change-log/log-start.ts'
import { SegmentStore } from '../../repository/change-log/segment-store.ts'
import { isDamage } from '../../repository/damage.ts'
import { LOG_PREFIX, SEGMENT_PREFIX, segmentOf } from '../../repository/layout.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { fatesOf } from './forget.ts'
import type { KeepRules } from './keep-rules.ts'
import type { Survey } from './survey.ts'

export interface LogNeed {
  readonly logId: string
  /** Where it begins now: 0, or where it was trimmed to. */
  readonly begins: number
  /** Segments before it are needed by nothing, but for those of `alone`. */
  readonly first: number
  /** Before `first`, and needed: the newest segment refers to it. */
  readonly alone: ReadonlySet<number>
  /** Why those from `first` on stay. */
  readonly why: string
  /** Listed, ascending. */
  readonly segments: readonly number[]
}

export interface LogQuestion {
  readonly repository: Repository
  readonly survey: Survey
  /** By source; one that is not there has no window. */
  readonly rules: ReadonlyMap<string, KeepRules>
  readonly nowMs: number
}

/** @throws repository-damaged, object-missing where a log cannot be told; store-… */
export async function logNeeds(question: LogQuestion): Promise<LogNeed[]> {
  const { repository, survey } = question
  const listed = segmentsByLog(survey)
  const starts: LogStart[] = []
  for (const name of [...survey.objects.keys()].filter((key) => key.startsWith(LOG_PREFIX)).sort()) {
    const start = await readLogStart(repository, name.slice(LOG_PREFIX.length)).catch((error) => {
      // Nobody knows whose it is: it stays, and is for check to speak of.
      if (isDamage(error)) return null
      throw error
    })
    if (start) starts.push(start)
  }
  const newest = new Map(starts.map(({ sourceName, logId }) => [sourceName, logId]))
  const needs: LogNeed[] = []
  for (const start of starts) {
    const numbers = listed.get(start.logId) ?? []
    if (numbers.length > 0) {
      needs.push(await needOf(question, start, { numbers, isNewest: newest.get(start.sourceName) === start.logId }))
    }
  }
  return needs
}

function segmentsByLog({ objects }: Survey): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const key of objects.keys()) {
    const segment = key.startsWith(SEGMENT_PREFIX) ? segmentOf(key) : null
    if (!segment) continue
    const numbers = found.get(segment.logId)
    if (numbers) numbers.push(segment.number)
    else found.set(segment.logId, [segment.number])
  }
  for (const numbers of found.values()) numbers.sort((a, b) => a - b)
  return found
}

async function needOf(
  question: LogQuestion,
  { logId, sourceName }: LogStart,
  { numbers, isNewest }: { readonly numbers: readonly number[]; readonly isNewest: boolean },
): Promise<LogNeed> {
  const segments = new SegmentStore(question.repository.sealed, logId)
  const trim = await segments.trim()
  const begins = trim?.first ?? 0
  const last = await segments.newest(numbers.at(-1) ?? null)
  const needing = manifestsThatNeed(question, sourceName).filter(({ log }) => log?.logId === logId)
  const common = { logId, begins, segments: numbers }
  const everything = { ...common, first: begins, alone: new Set<number>() }
  if (needing.length === 0 && isNewest) {
    return { ...everything, why: 'the source is captured into it, and no snapshot stands in it yet' }
  }
  const wanted = Math.min(last, ...needing.map(firstNeeded))
  // A window that was made longer cannot bring back what is gone.
  const first = Math.max(begins, await beginning(segments, wanted, begins))
  const { header } = await segments.readHead(last)
  const alone = new Set(header.fingerprintIn !== null && header.fingerprintIn < first ? [header.fingerprintIn] : [])
  const oldest = needing.reduce<string | null>(
    (least, { snapshotId }) => (least && least < snapshotId ? least : snapshotId),
    null,
  )
  const why =
    oldest === null ? 'the end of a log that another one took the place of' : `moments from snapshot ${oldest} on`
  return { ...common, first, alone, why }
}

/** Also those that are unreadable would count: with one of them nothing is deleted. */
function manifestsThatNeed({ survey, rules, nowMs }: LogQuestion, sourceName: string): Manifest[] {
  const ours = survey.manifests.filter((manifest) => manifest.sourceName === sourceName)
  const own = rules.get(sourceName)
  if (!own || own.windowMs === 0) return ours
  const within = new Set(
    fatesOf(survey, sourceName, own, nowMs).flatMap(({ snapshotId, fate }) =>
      fate.kind === 'stays' && fate.reasons.some(({ kind }) => kind === 'window' || kind === 'newest')
        ? [snapshotId]
        : [],
    ),
  )
  return ours.filter(({ snapshotId }) => within.has(snapshotId))
}

/** What carries on from it begins at `scanSegment`; which tables were closed since is asked behind its head. */
function firstNeeded({ log }: Manifest): number {
  return log?.head ? Math.min(log.scanSegment, log.head.segment) : 0
}

/** A log that begins in the middle of a transaction could not be read from its beginning. */
async function beginning(segments: SegmentStore, number: number, begins: number): Promise<number> {
  let at = number
  while (at > begins && (await segments.readHead(at)).header.continues) at -= 1
  return at
}
