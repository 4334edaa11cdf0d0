/**
 * A whole log for verification: unlike a reader, which ends at the first place where the chain does not hold, this goes
 * on behind it and tells of each.
 */
import type { SealedStore } from '../sealed-store.ts'
import { type ChainProblem, chainProblem, findGap, type LogGap, problemOfError } from './gap.ts'
import type { LogStart } from './log-start.ts'
import { type FetchedSegment, fetchAhead } from './read-ahead.ts'
import { decodeSegment } from './segment-codec.ts'
import type { SegmentHeader } from './segment-header.ts'
import { type SegmentHead, SegmentStore } from './segment-store.ts'
import type { LogTrim } from './trim.ts'

/** By number of a segment: its SHA-256, as a manifest has it. */
export type ChangeLogAnchors = ReadonlyMap<number, string>

export interface SegmentTrouble extends LogGap {
  /** So many segments in a row, from `segment` on. */
  readonly count: number
}

export interface LogKnowledge {
  /** Ascending. A listing may leave out what is there (F17). */
  readonly listed: readonly number[]
  readonly anchors: ChangeLogAnchors
  /** Segments from here on are opened, and the newest one in any case. */
  readonly openFrom: number
  /** Where it ended, as the log that took its place says; null where none did, or did not know. */
  readonly reaches: bigint | null
  /** Where it begins, when its beginning is not kept any more: what is before is not looked at. */
  readonly trim: LogTrim | null
}

/** Of a hole in the listing, so many are asked for by name: one that is larger is no listing that came late. */
const HOLE_ASKED_MAX = 1_000

interface LookedAt {
  /** Null when it cannot be read. */
  readonly head: SegmentHead | null
  readonly problem: ChainProblem | null
}

export class LogWalk {
  opened = 0
  readonly #segments: SegmentStore
  readonly #start: LogStart
  readonly #known: LogKnowledge

  constructor(sealed: SealedStore, start: LogStart, known: LogKnowledge) {
    this.#segments = new SegmentStore(sealed, start.logId)
    this.#start = start
    this.#known = known
  }

  /** @throws store-…, repository-format; the signal's reason */
  async *troubles(signal: AbortSignal): AsyncIterable<SegmentTrouble> {
    const first = this.#first
    const there = await this.#numbersThere()
    const last = Math.max(there.at(-1) ?? first - 1, ...this.#anchored())
    for (const { from, to } of holesIn(there, first, last)) yield await this.#trouble(from, 'missing', to - from)
    const openFrom = Math.min(this.#known.openFrom, Math.max(first, last))
    let before: SegmentHead | null = null
    // What a trim says of the first segment is asked of it, however old that is.
    const opened = there.filter((number) => number >= openFrom || number === this.#known.trim?.first)
    for (const run of runsOf(opened)) {
      before = null
      let from = run.from
      let same: ChainProblem | null = null
      for await (const { number, outcome } of fetchAhead(this.#segments, run.from, run.to)) {
        signal.throwIfAborted()
        const looked = this.#look(number, outcome, before)
        before = looked.head
        if (looked.problem === same) continue
        if (same) yield await this.#trouble(from, same, number - from)
        from = number
        same = looked.problem
      }
      if (same) yield await this.#trouble(from, same, run.to - from)
    }
    // Of a newest segment that cannot be read the end is not known, and was said to be so.
    const { header } = before ?? { header: null }
    if (header?.number === last || last < first) yield* this.#lostEnd(last + 1, header)
  }

  /** Segments behind the newest one that nothing else names. */
  *#lostEnd(segment: number, newest: SegmentHeader | null): Iterable<SegmentTrouble> {
    const { reaches: to, trim } = this.#known
    const { startLsn, createdAt, logId } = this.#start
    const from = newest?.end ?? trim?.start ?? startLsn
    if (to === null || from >= to) return
    const fromTime = newest?.sealedAt ?? createdAt
    yield { logId, segment, problem: 'missing', count: 1, from, to, fromTime, toTime: null }
  }

  #look(number: number, outcome: FetchedSegment['outcome'], before: SegmentHead | null): LookedAt {
    try {
      if ('error' in outcome) throw outcome.error
      const { plain, sha256 } = this.#segments.open(number, outcome.stored)
      const { header } = decodeSegment(plain, `object ${this.#segments.nameOf(number)}`)
      this.opened += 1
      const head = { header, sha256 }
      const wanted = this.#known.anchors.get(number)
      const isOther = wanted !== undefined && wanted !== head.sha256
      return {
        head,
        problem:
          chainProblem(this.#start, number, head, { before, trim: this.#known.trim }) ?? (isOther ? 'reordered' : null),
      }
    } catch (error) {
      return { head: null, problem: problemOfError(error) }
    }
  }

  get #first(): number {
    return this.#known.trim?.first ?? 0
  }

  #anchored(): number[] {
    return [...this.#known.anchors.keys()].filter((number) => number >= this.#first)
  }

  /** Those listed, those that a question by name finds in a hole of the listing, and those behind its end. */
  async #numbersThere(): Promise<number[]> {
    const listed = this.#known.listed.filter((number) => number >= this.#first)
    const found = [...listed]
    const last = Math.max(listed.at(-1) ?? -1, ...this.#anchored())
    for (const { from, to } of holesIn(listed, this.#first, last)) {
      for (let number = from; number < Math.min(to, from + HOLE_ASKED_MAX); number += 1) {
        if (await this.#segments.stat(number)) found.push(number)
      }
    }
    return found.sort((a, b) => a - b)
  }

  async #trouble(segment: number, problem: ChainProblem, count: number): Promise<SegmentTrouble> {
    return { ...(await findGap(this.#segments, this.#start, segment, problem)), count }
  }
}

interface Run {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

/** Of ascending numbers. */
function runsOf(numbers: readonly number[]): Run[] {
  const runs: { from: number; to: number }[] = []
  for (const number of numbers) {
    const run = runs.at(-1)
    if (run && run.to === number) run.to += 1
    else runs.push({ from: number, to: number + 1 })
  }
  return runs
}

/** What `numbers` (ascending) lack from `first` to `last`. */
function holesIn(numbers: readonly number[], first: number, last: number): Run[] {
  const holes: Run[] = []
  let next = first
  for (const { from, to } of [...runsOf(numbers), { from: last + 1, to: last + 1 }]) {
    if (from > next) holes.push({ from: next, to: from })
    next = to
  }
  return holes
}
