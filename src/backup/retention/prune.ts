import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { SegmentStore } from '../../repository/change-log/segment-store.ts'
import { writeTrim } from '../../repository/change-log/trim.ts'
import { INDEX_PREFIX, keptIndexKey, packKey, pruneKey, timedId } from '../../repository/layout.ts'
import type { PackRecord } from '../../repository/pack/pack-writer.ts'
import { parsePackIndex } from '../../repository/pack-index.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import { confirmRead } from '../confirm-stored.ts'
import { alone, type RetentionWorld } from './hold.ts'
import type { KeepRules } from './keep-rules.ts'
import { type FactsRequest, type PruneFacts, pruneFacts } from './prune-facts.ts'
import { type PruneMark, writeMark } from './prune-mark.ts'
import { type ObjectKind, type PrunePlan, planPrune, type TrimPlan, type Waiting } from './prune-plan.ts'

export interface PruneRequest extends RetentionWorld {
  /** By source; a source that is not there has no recovery window. */
  readonly rules: ReadonlyMap<string, KeepRules>
  readonly graceMs: number
  readonly sleep: (ms: number) => Promise<void>
  readonly onProgress?: (done: { readonly deleted: number; readonly of: number }) => void
}

const PRUNE_ACTION = 'repository.prune'
const DELETES_AT_ONCE = 8
/** What goes last is what tells a next run of the rest. */
const ORDER: readonly ObjectKind[] = ['segment', 'index', 'pack', 'claim', 'mark']

/** Changes nothing. @throws as `pruneFacts` */
export async function planOfPrune(request: PruneRequest): Promise<PrunePlan> {
  return planPrune(await pruneFacts(request), { graceMs: request.graceMs, nowMs: request.nowMs() })
}

/** @returns what was done. @throws as `pruneFacts`; lease-held, lease-lost, store-… */
export async function prune(request: PruneRequest): Promise<PrunePlan> {
  const deed = { actor: request.actor, action: PRUNE_ACTION, subject: 'repository', detail: '' }
  return await alone(request, async (signal, assertHeld) => {
    const work = async () => {
      const held = { ...request, signal }
      const facts = await pruneFacts(held satisfies FactsRequest)
      const plan = planPrune(facts, { graceMs: request.graceMs, nowMs: request.nowMs() })
      await new Pruning(held, facts, plan, assertHeld).carryOut()
      return plan
    }
    return await request.repository.audit.around(deed, request.nowMs, work)
  })
}

class Pruning {
  readonly #request: PruneRequest
  readonly #facts: PruneFacts
  readonly #plan: PrunePlan
  readonly #assertHeld: () => void

  constructor(request: PruneRequest, facts: PruneFacts, plan: PrunePlan, assertHeld: () => void) {
    this.#request = request
    this.#facts = facts
    this.#plan = plan
    this.#assertHeld = assertHeld
  }

  async carryOut(): Promise<void> {
    await this.#mark()
    await this.#reviseMarks()
    for (const trim of this.#plan.trims) await this.#trim(trim)
    await this.#mergeIndexes()
    let deleted = 0
    const of = this.#plan.removes.length
    for (const kind of ORDER) {
      const objects = this.#plan.removes.filter((going) => going.kind === kind).map(({ object }) => object)
      await this.#delete(objects, () => {
        deleted += 1
        this.#request.onProgress?.({ deleted, of })
      })
    }
  }

  async #mark(): Promise<void> {
    const { marks, marksLogs } = this.#plan
    if (marks.length + marksLogs.length === 0) return
    const ofKind = (kind: ObjectKind) => marks.filter((going) => going.kind === kind)
    await this.#writeMark({
      ...this.#newMark(this.#request.nowMs()),
      packs: ofKind('pack').map(({ object, why }) => ({ packId: idOf(object), why })),
      indexes: ofKind('index').map(({ object, why }) => ({ name: object, why })),
      logs: marksLogs.map(({ logId, first }) => ({ logId, first, why: whyOf(ofKind('segment')) })),
    })
  }

  /** What is needed again has no grace behind it when it is next found to be needed by nothing. */
  async #reviseMarks(): Promise<void> {
    const stays = new Set(this.#plan.stays.map(({ object }) => object))
    const goes = new Set(this.#plan.removes.map(({ object }) => object))
    for (const mark of this.#facts.marks) {
      const packs = mark.packs.filter(({ packId }) => !stays.has(packKey(packId)))
      if (packs.length === mark.packs.length || goes.has(pruneKey(mark.markId))) continue
      await this.#writeMark({ ...mark, ...this.#newMark(Date.parse(mark.madeAt)), packs })
      await this.#delete([pruneKey(mark.markId)], () => {})
    }
  }

  #newMark(madeMs: number): Pick<PruneMark, 'markId' | 'madeAt' | 'actor'> {
    const { nowMs, random, actor } = this.#request
    return { markId: timedId(nowMs(), random(4)), madeAt: new Date(madeMs).toISOString(), actor }
  }

  async #writeMark(mark: PruneMark): Promise<void> {
    this.#assertHeld()
    await writeMark(this.#request.repository, mark)
  }

  async #trim({ logId, first }: TrimPlan): Promise<void> {
    const { repository, nowMs } = this.#request
    const { header, sha256 } = await new SegmentStore(repository.sealed, logId).readHead(first - 1)
    this.#assertHeld()
    const madeAt = new Date(nowMs()).toISOString()
    await writeTrim(repository.sealed, logId, { first, start: header.end, previous: sha256 }, madeAt)
  }

  /** Before the indexes go that it takes the place of: whoever looks in between finds every pack listed. */
  async #mergeIndexes(): Promise<void> {
    const { repository, nowMs, random } = this.#request
    const going = new Set(this.#plan.removes.map(({ object }) => object))
    const packs = recordsLeft(this.#facts, going)
    if (packs.length === 0) return
    const name = keptIndexKey(timedId(nowMs(), random(4)))
    const bytes = canonicalBytes({ format: 1, snapshotId: name.slice(INDEX_PREFIX.length), packs })
    this.#assertHeld()
    await repository.sealed.write(name, OBJECT_TYPES.index, bytes)
    await confirmRead(name, async () =>
      parsePackIndex(parseCanonical(await repository.sealed.read(name, OBJECT_TYPES.index), name), name),
    )
  }

  async #delete(objects: readonly string[], onDone: () => void): Promise<void> {
    const { repository, signal } = this.#request
    const waiting = [...objects].reverse()
    const lane = async () => {
      for (let object = waiting.pop(); object !== undefined; object = waiting.pop()) {
        signal.throwIfAborted()
        this.#assertHeld()
        await repository.store.delete(object)
        onDone()
      }
    }
    await Promise.all(Array.from({ length: DELETES_AT_ONCE }, lane))
  }
}

/** Of packs that stay, and that only indexes list which go. */
function recordsLeft({ indexes, survey }: PruneFacts, going: ReadonlySet<string>): PackRecord[] {
  const listed = new Set(
    indexes.filter(({ name }) => !going.has(name)).flatMap(({ packs }) => packs.map((pack) => pack.packId)),
  )
  const left = new Map<string, PackRecord>()
  for (const { name, packs } of indexes) {
    if (!going.has(name)) continue
    for (const pack of packs) {
      const object = packKey(pack.packId)
      if (!listed.has(pack.packId) && !going.has(object) && survey.objects.has(object)) left.set(pack.packId, pack)
    }
  }
  return [...left.values()].sort((a, b) => (a.packId < b.packId ? -1 : 1))
}

function idOf(object: string): string {
  return object.slice(object.lastIndexOf('/') + 1)
}

function whyOf(segments: readonly Waiting[]): string {
  return segments[0]?.why ?? 'before all moments that are kept'
}
