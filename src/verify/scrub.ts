/**
 * Every byte: what check looks at, and then every pack, read once from beginning to end, every leaf in it proved by its
 * digest and found in its place: as it was sealed (depth *bytes*), or by its rows (depth *rows*).
 *
 *     trees ─→ what each leaf must be ─→ packs, one after the other ─→ threads: fetch, hash, open, decode, digest
 *                                                                   └─→ locator sums ─→ do locators name the rows?
 *
 * Memory is bounded by passes: a pass gathers what it must know of at most LEAVES_PER_PASS leaves, and reads the
 * packs that hold them. One pass covers some thirty gigabytes of row text; each further one reads the trees' inner
 * nodes once more.
 *
 * What was proved is written down in the repository (proofs.ts), so that "when was this last read?" has an answer.
 */
import { Failure } from '../errors.ts'
import { packKey } from '../repository/layout.ts'
import type { Manifest } from '../repository/manifest.ts'
import type { PackRecord } from '../repository/pack/pack-writer.ts'
import type { Repository } from '../repository/repository.ts'
import { treesOf } from '../repository/snapshot-trees.ts'
import type { ChunkPlace } from '../repository/tree/node-codec.ts'
import { type CheckRequest, lookInto, type Structure } from './check.ts'
import { damageOf, type Finding, finding, type Verification } from './finding.ts'
import { LeafExpectations } from './leaf-expectations.ts'
import { LocatorSums } from './locator-walk.ts'
import { oldestProof, type ProofAge, provedTimes, writeProof } from './proofs.ts'
import type { PackReport, ScrubDepth, ScrubTask } from './scrub-pack.ts'
import { type Seat, TreeWalk } from './walk.ts'

export interface ScrubRequest extends Omit<CheckRequest, 'onProgress'> {
  /** Only what these need; all when not given. Structure is looked at for all in any case. */
  readonly snapshots?: readonly string[]
  /** Packs under way at once. */
  readonly lanes: number
  /** A slice: the packs that were proved longest ago, up to so many bytes, at least one. All when not given. */
  readonly bytesMax?: number
  /** `rows` when not given. */
  readonly depth?: ScrubDepth
  /** `ScrubPool.scrubPack`, or in this thread. */
  readonly scrubPack: (repository: Repository, task: ScrubTask, signal: AbortSignal) => Promise<PackReport>
  readonly random: (bytes: number) => Uint8Array
  readonly onProgress?: (event: ScrubProgress) => void
  readonly leavesPerPass?: number
}

export interface ScrubProgress {
  readonly packsDone: number
  readonly packs: number
  readonly bytesDone: number
  readonly bytes: number
}

export interface ScrubResult extends Verification {
  /** The proof's name; null when nothing could be proved. */
  readonly proof: string | null
  /** Of all packs that indexes list. */
  readonly age: ProofAge | null
}

const LEAVES_PER_PASS = 1_000_000

/** @throws snapshot-not-found; store-… when it could not begin to look; the signal's reason */
export async function scrubRepository(request: ScrubRequest): Promise<ScrubResult> {
  const startedMs = request.nowMs()
  const { repository, signal, nowMs } = request
  for (const snapshotId of request.snapshots ?? []) await repository.readManifest(snapshotId)
  let run: ScrubRun | null = null
  const looked = await lookInto(
    { repository, signal, nowMs },
    request.snapshots ? 'needed' : 'all',
    async (structure) => {
      run = new ScrubRun(request, structure)
      return await run.scrub()
    },
  )
  // Set by the callback above, which the compiler cannot see.
  const done = run as ScrubRun | null
  if (!done) return { ...looked, proof: null, age: null }
  const verification: Verification = { ...looked, looked: { ...looked.looked, ...done.looked } }
  try {
    const proof = await done.writeProof(verification, startedMs)
    return { ...verification, proof, age: await oldestProof(repository, done.allPacks, request.depth) }
  } catch (error) {
    if (error instanceof Failure && error.code !== 'defect') return { ...verification, proof: null, age: null }
    throw error
  }
}

class ScrubRun {
  readonly #request: ScrubRequest
  readonly #structure: Structure
  readonly #manifests: readonly Manifest[]
  readonly #depth: ScrubDepth
  readonly #proved: string[] = []
  #packs: readonly PackRecord[] = []
  #isSlice = false
  #bytesDone = 0
  #packsDone = 0
  #leaves = 0
  #rows = 0
  #textBytes = 0
  #chunks = 0

  constructor(request: ScrubRequest, structure: Structure) {
    this.#request = request
    this.#structure = structure
    this.#depth = request.depth ?? 'rows'
    const { manifests } = structure.inventory
    const wanted = request.snapshots && new Set(request.snapshots)
    this.#manifests = wanted ? manifests.filter((manifest) => wanted.has(manifest.snapshotId)) : manifests
  }

  get looked(): Record<string, number> {
    const packs = { packsRead: this.#packsDone, packBytesRead: this.#bytesDone, chunksOpened: this.#chunks }
    return this.#depth === 'rows'
      ? { ...packs, leavesProved: this.#leaves, rowsProved: this.#rows, textBytesProved: this.#textBytes }
      : { ...packs, leavesAsSealed: this.#leaves, rowsAsSealed: this.#rows, textBytesAsSealed: this.#textBytes }
  }

  get allPacks(): Iterable<string> {
    return this.#structure.inventory.packs.keys()
  }

  /** Whole trees are read: locators can be held against rows. */
  get #sumsUp(): boolean {
    return this.#depth === 'rows' && !this.#isSlice
  }

  async scrub(): Promise<Finding[]> {
    const needed = await this.#packsNeeded()
    this.#packs = await this.#slice(needed)
    this.#isSlice = this.#packs.length < needed.length
    const sums = new LocatorSums(this.#request.repository, this.#structure.damage)
    for (const packs of passes(this.#packs, this.#request.leavesPerPass ?? LEAVES_PER_PASS)) {
      const packIds = new Set(packs.map(({ packId }) => packId))
      const expectations = new LeafExpectations(packIds)
      await this.#walk(() => {}, expectations)
      await this.#readPacks(packs, expectations, sums)
      if (this.#sumsUp) await sums.endPass(this.#manifests, packIds)
    }
    return this.#sumsUp ? sums.findings(this.#manifests) : []
  }

  /** Packs without a problem, and the snapshots when nothing at all is wrong. */
  async writeProof({ status }: Verification, startedMs: number): Promise<string | null> {
    if (this.#proved.length === 0) return null
    const { repository, random, nowMs } = this.#request
    const endedMs = nowMs()
    const proof = {
      startedAt: new Date(startedMs).toISOString(),
      endedAt: new Date(endedMs).toISOString(),
      ...(this.#depth === 'bytes' && { depth: this.#depth }),
      snapshots:
        status === 'passed' && !this.#isSlice ? this.#manifests.map((manifest) => manifest.snapshotId).sort() : [],
      packs: this.#proved.toSorted(),
    }
    return await writeProof(repository, proof, endedMs, random)
  }

  /** Every pack that is there; of some snapshots only, those that their trees name. */
  async #packsNeeded(): Promise<PackRecord[]> {
    const { packs, lostPacks } = this.#structure.inventory
    const there = [...packs.values()].filter(({ packId }) => !lostPacks.has(packId))
    if (!this.#request.snapshots) return there
    const named = new Set<string>()
    await this.#walk(({ packId }) => named.add(packId), null)
    return there.filter(({ packId }) => named.has(packId))
  }

  async #slice(packs: readonly PackRecord[]): Promise<readonly PackRecord[]> {
    const { bytesMax, repository } = this.#request
    if (bytesMax === undefined) return packs
    const proved = await provedTimes(repository, this.#depth)
    const oldestFirst = packs.toSorted((a, b) => ((proved.get(a.packId) ?? '') < (proved.get(b.packId) ?? '') ? -1 : 1))
    let bytes = 0
    const taken = oldestFirst.findIndex((pack, index) => {
      bytes += pack.bytes
      return index > 0 && bytes > bytesMax
    })
    return taken < 0 ? oldestFirst : oldestFirst.slice(0, taken)
  }

  async #walk(onPlace: (place: ChunkPlace) => void, expectations: LeafExpectations | null): Promise<void> {
    const { damage } = this.#structure
    const visitor = {
      wants: (place: ChunkPlace) => !damage.has(place),
      onNode: ({ entry }: Seat) => onPlace(entry.place),
      onLeaf: (seat: Seat) => {
        onPlace(seat.entry.place)
        expectations?.add(seat)
      },
      // It was whole in the look at the structure, and is not now: its leaves are not looked at.
      onDamage: ({ entry }: Seat, message: string) => damage.addChunk(entry.place, 'node-damaged', message),
      // Known from there.
      onShape: () => {},
    }
    const walk = new TreeWalk(this.#request.repository, visitor, this.#request.signal)
    for (const manifest of this.#manifests) for (const tree of treesOf(manifest)) await walk.visit(tree)
  }

  async #readPacks(packs: readonly PackRecord[], expectations: LeafExpectations, sums: LocatorSums): Promise<void> {
    // The largest first, so that no lane is left alone with one at the end.
    const waiting = packs.toSorted((a, b) => b.bytes - a.bytes)
    const lane = async (): Promise<void> => {
      for (let pack = waiting.shift(); pack; pack = waiting.shift()) await this.#readPack(pack, expectations, sums)
    }
    const lanes = Array.from({ length: this.#request.lanes }, () =>
      lane().catch((error) => {
        waiting.length = 0
        throw error
      }),
    )
    await Promise.allSettled(lanes)
    await Promise.all(lanes)
  }

  async #readPack(pack: PackRecord, expectations: LeafExpectations, sums: LocatorSums): Promise<void> {
    const { repository, signal, onProgress } = this.#request
    const task: ScrubTask = {
      pack,
      depth: this.#depth,
      forms: expectations.forms,
      expectations: expectations.of(pack.packId),
      secrets: repository.keyring.secrets,
    }
    try {
      const report = await this.#request.scrubPack(repository, task, signal)
      this.#take(pack, report, sums)
    } catch (error) {
      const lost = finding({ kind: 'pack-missing', message: damageOf(error).message, object: packKey(pack.packId) })
      this.#structure.damage.addPack(pack.packId, lost)
    }
    const bytes = this.#packs.reduce((sum, { bytes: size }) => sum + size, 0)
    onProgress?.({ packsDone: this.#packsDone, packs: this.#packs.length, bytesDone: this.#bytesDone, bytes })
  }

  #take(pack: PackRecord, report: PackReport, sums: LocatorSums): void {
    this.#packsDone += 1
    this.#bytesDone += report.bytes
    this.#chunks += report.chunks
    this.#leaves += report.leaves
    this.#rows += report.rows
    this.#textBytes += report.textBytes
    sums.addPack(pack.packId, report)
    if (report.problems.length === 0) this.#proved.push(pack.packId)
    for (const { offset, kind, message } of report.problems) {
      if (offset === null) this.#structure.damage.addNote(pack.packId, kind, message)
      else this.#structure.damage.addChunk({ packId: pack.packId, offset, storedBytes: 0 }, kind, message)
    }
  }
}

/** Packs in runs of at most so many chunks, at least one pack each. */
function* passes(packs: readonly PackRecord[], chunksMax: number): Generator<PackRecord[]> {
  let pass: PackRecord[] = []
  let chunks = 0
  for (const pack of packs) {
    if (pass.length > 0 && chunks + pack.chunks > chunksMax) {
      yield pass
      pass = []
      chunks = 0
    }
    pass.push(pack)
    chunks += pack.chunks
  }
  if (pass.length > 0) yield pass
}
