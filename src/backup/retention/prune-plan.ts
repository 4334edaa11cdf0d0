/**
 * What a prune would do, as data: what goes now, what is marked or waits for its grace, what stays, and why each does.
 * Decided from facts alone; a dry run prints it, and prune.ts carries it out.
 */
import { LEASE_PREFIX, PACK_PREFIX, packIdOf, pruneKey, segmentKey } from '../../repository/layout.ts'
import { CLAIMS_KEPT } from '../../repository/lease.ts'
import { READ_LEASE, SNAPSHOT_LEASE } from '../../repository/readers.ts'
import type { IndexKind, PruneFacts } from './prune-facts.ts'
import { type Marked, markedSince } from './prune-mark.ts'

export type ObjectKind = 'pack' | 'index' | 'segment' | 'claim' | 'mark'

export interface Going {
  readonly object: string
  readonly kind: ObjectKind
  readonly bytes: number
  readonly why: string
}

export interface Waiting extends Going {
  /** Milliseconds since 1970. From then on it may go, if nothing needs it then. */
  readonly untilMs: number
}

export interface Staying {
  readonly object: string
  readonly kind: 'pack' | 'segment'
  readonly bytes: number
  /** Of `bytes`: in chunks that nothing needs, and that stay because others in the same pack are needed. */
  readonly deadBytes: number
  readonly why: string
}

export interface TrimPlan {
  readonly logId: string
  readonly first: number
}

export interface PrunePlan {
  readonly removes: readonly Going[]
  /** Marked earlier; their grace is not over, or somebody reads. */
  readonly waits: readonly Waiting[]
  /** Found now, and to be marked. */
  readonly marks: readonly Waiting[]
  readonly stays: readonly Staying[]
  /** Logs that will begin later than they do. */
  readonly trims: readonly TrimPlan[]
  /** Where each log would begin once everything that is marked now has gone. */
  readonly marksLogs: readonly TrimPlan[]
  /** Who reads, so that nothing is deleted now. */
  readonly readers: readonly { readonly holder: string; readonly since: string }[]
  readonly bytesFreed: number
}

export interface PlanRules {
  readonly graceMs: number
  readonly nowMs: number
}

export function planPrune(facts: PruneFacts, rules: PlanRules): PrunePlan {
  const planner = new Planner(facts, rules)
  planner.packs()
  planner.cutOffIndexes()
  planner.logs()
  planner.doneMarks()
  planner.supersededIndexes()
  planner.claims()
  return planner.plan()
}

class Planner {
  readonly #facts: PruneFacts
  readonly #rules: PlanRules
  readonly #marked: Marked
  readonly #isBackingUp: boolean
  readonly #isRead: boolean
  readonly #removes: Going[] = []
  readonly #waits: Waiting[] = []
  readonly #marks: Waiting[] = []
  readonly #stays: Staying[] = []
  readonly #trims: TrimPlan[] = []
  readonly #marksLogs: TrimPlan[] = []

  constructor(facts: PruneFacts, rules: PlanRules) {
    this.#facts = facts
    this.#rules = rules
    this.#marked = markedSince(facts.marks)
    this.#isRead = facts.readers.length > 0
    this.#isBackingUp = facts.readers.some(({ name }) => name.startsWith(`${SNAPSHOT_LEASE}-`))
  }

  plan(): PrunePlan {
    const removes = this.#removes
    return {
      removes,
      waits: this.#waits,
      marks: this.#marks,
      stays: this.#stays,
      trims: this.#trims,
      marksLogs: this.#marksLogs,
      readers: this.#facts.readers.map(({ holder, madeAt }) => ({ holder, since: madeAt })),
      bytesFreed: removes.reduce((sum, { bytes }) => sum + bytes, 0),
    }
  }

  packs(): void {
    const { live, indexes, survey } = this.#facts
    const kinds = new Map<string, IndexKind>()
    for (const { kind, packs } of indexes) {
      for (const { packId } of packs) if (kinds.get(packId) !== 'snapshot') kinds.set(packId, kind)
    }
    for (const [object, bytes] of survey.objects) {
      if (!object.startsWith(PACK_PREFIX)) continue
      const packId = packIdOf(object)
      const kind = kinds.get(packId)
      const found = live.get(packId)
      if (found) {
        const deadBytes = found.liveBytes === null ? 0 : bytes - found.liveBytes
        this.#stays.push({ object, kind: 'pack', bytes, deadBytes, why: `snapshot ${found.snapshotId} needs it` })
      } else if (kind === 'snapshot') {
        this.#stays.push({ object, kind: 'pack', bytes, deadBytes: 0, why: 'the index of a kept snapshot lists it' })
      } else {
        const isForgotten = kind === 'forgotten' || kind === 'merged'
        const why = isForgotten ? 'only forgotten snapshots needed it' : 'of a backup that was cut off'
        this.#goes({ object, kind: 'pack', bytes, why }, this.#marked.packs.get(packId), isForgotten)
      }
    }
  }

  /** Those of forgotten snapshots need no grace: what they list does. */
  cutOffIndexes(): void {
    for (const { name, kind } of this.#facts.indexes) {
      if (kind !== 'cut-off') continue
      const going = {
        object: name,
        kind: 'index',
        bytes: this.#bytes(name),
        why: 'of a backup that was cut off',
      } as const
      this.#goes(going, this.#marked.indexes.get(name), false)
    }
  }

  logs(): void {
    for (const { logId, begins, first, alone, segments, why } of this.#facts.logs) {
      const marks = this.#marked.logs.get(logId) ?? []
      const due = marks.filter(({ atMs }) => this.#isDue(atMs)).map((mark) => mark.first)
      const dueFirst = this.#isRead ? begins : Math.max(begins, Math.min(first, Math.max(0, ...due)))
      if (dueFirst > begins) this.#trims.push({ logId, first: dueFirst })
      const known = Math.max(begins, ...marks.map((mark) => mark.first))
      if (first > known) this.#marksLogs.push({ logId, first })
      for (const number of segments) {
        const object = segmentKey(logId, number)
        const bytes = this.#bytes(object)
        const going = { object, kind: 'segment', bytes, why: `before all moments that are kept` } as const
        if (number >= first) this.#stays.push({ object, kind: 'segment', bytes, deadBytes: 0, why })
        else if (alone.has(number)) {
          this.#stays.push({ object, kind: 'segment', bytes, deadBytes: 0, why: 'the newest segment refers to it' })
        } else if (number < dueFirst && !this.#isRead) this.#removes.push(going)
        else this.#later(going, earliestOf(marks, number))
      }
    }
  }

  /** Marks whose grace is over have been carried out with what goes now. */
  doneMarks(): void {
    if (this.#isRead) return
    for (const { markId, madeAt } of this.#facts.marks) {
      if (!this.#isDue(Date.parse(madeAt))) continue
      const object = pruneKey(markId)
      this.#removes.push({ object, kind: 'mark', bytes: this.#bytes(object), why: 'carried out' })
    }
  }

  /** When packs go, one index takes the place of all those of forgotten snapshots: it lists what is left of them. */
  supersededIndexes(): void {
    if (!this.#removes.some(({ kind }) => kind === 'pack' || kind === 'index')) return
    for (const { name, kind } of this.#facts.indexes) {
      if (kind !== 'forgotten' && kind !== 'merged') continue
      this.#removes.push({
        object: name,
        kind: 'index',
        bytes: this.#bytes(name),
        why: 'what is left of it is listed anew',
      })
    }
  }

  claims(): void {
    const { survey, claims, readers } = this.#facts
    const alive = new Set(readers.map(({ name }) => name))
    for (const [object, bytes] of survey.objects) {
      const [, lease = '', token = ''] = object.startsWith(LEASE_PREFIX) ? object.split('/') : []
      const newest = claims.get(lease)
      if (!newest) continue
      const isOver = lease.startsWith(`${READ_LEASE}-`) && !alive.has(lease)
      if (!isOver && Number(token) >= newest.token - CLAIMS_KEPT) continue
      this.#removes.push({
        object,
        kind: 'claim',
        bytes,
        why: isOver ? 'its reader has ended' : 'long followed by others',
      })
    }
  }

  #goes(going: Going, sinceMs: number | undefined, isKnown: boolean): void {
    if (sinceMs !== undefined && this.#isDue(sinceMs) && !this.#isRead) this.#removes.push(going)
    // What a backup is writing is listed by nothing yet.
    else if (sinceMs === undefined && !isKnown && this.#isBackingUp) {
      if (going.kind !== 'pack') return
      this.#stays.push({ ...going, kind: 'pack', deadBytes: 0, why: 'a backup is under way, which may be writing it' })
    } else this.#later(going, sinceMs)
  }

  #later(going: Going, sinceMs: number | undefined): void {
    const untilMs = (sinceMs ?? this.#rules.nowMs) + this.#rules.graceMs
    if (sinceMs === undefined) this.#marks.push({ ...going, untilMs })
    else this.#waits.push({ ...going, untilMs })
  }

  #isDue(sinceMs: number): boolean {
    return this.#rules.nowMs - sinceMs >= this.#rules.graceMs
  }

  #bytes(object: string): number {
    return this.#facts.survey.objects.get(object) ?? 0
  }
}

function earliestOf(marks: readonly { readonly first: number; readonly atMs: number }[], number: number) {
  const times = marks.filter(({ first }) => number < first).map(({ atMs }) => atMs)
  return times.length > 0 ? Math.min(...times) : undefined
}
