/**
 * Structure, without reading a single row: is every object there that a restore would need, and does every chain of
 * names hold, from the manifests down to the leaves' places? What the leaves' bytes are is for scrub to say.
 *
 *     inventory  objects, keys, manifests and their chain, indexes, packs' sizes
 *     walk       every inner node of every tree, once: digest, counts, order, cut; each leaf's place in its pack
 *     affected   only when something is damaged: tables, snapshots, patients
 */
import { Failure } from '../errors.ts'
import { packKey } from '../repository/layout.ts'
import { PACK_HEADER_BYTES, PACK_TRAILER_BYTES } from '../repository/pack/pack-format.ts'
import type { Repository } from '../repository/repository.ts'
import { type SnapshotTree, tableNames, treesOf } from '../repository/snapshot-trees.ts'
import type { ChunkPlace } from '../repository/tree/node-codec.ts'
import { affectedBy } from './affected.ts'
import { checkChangeLogs, type LogLook, type LogRequest } from './change-logs.ts'
import { Damage } from './damage.ts'
import { type Finding, finding, notLooked, type Verification, verification, warning } from './finding.ts'
import { type Inventory, listObjects, takeInventory } from './inventory.ts'
import { damagedProofs } from './proofs.ts'
import { type Seat, TreeWalk } from './walk.ts'

export interface CheckRequest {
  readonly repository: Repository
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly onProgress?: (event: { readonly treesDone: number; readonly trees: number }) => void
}

/** @throws store-… when it could not begin to look; the signal's reason */
export async function checkRepository(request: CheckRequest): Promise<Verification> {
  return await lookInto(request, 'needed', async () => [])
}

/** Looks at the structure, and `further` once that is done: into the packs, for scrub. `segments`: which are opened. */
export async function lookInto(
  request: CheckRequest,
  segments: LogRequest['depth'],
  further: (structure: Structure) => Promise<readonly Finding[]>,
): Promise<Verification> {
  const startedMs = request.nowMs()
  const listing = await listObjects(request.repository)
  const findings: Finding[] = []
  const logs: LogLook = { logs: 0, segments: 0, segmentsRead: 0 }
  let structure: Structure | null = null
  try {
    structure = new Structure(request, await takeInventory(request.repository, listing, findings))
    await structure.look(further)
    const { manifests } = structure.inventory
    await checkChangeLogs({ ...request, listing, manifests, depth: segments }, findings, logs)
  } catch (error) {
    const isStore = error instanceof Failure && error.code !== 'defect'
    if (request.signal.aborted || !isStore) throw error
    findings.push(...(structure?.damageKnown() ?? []), notLooked('all of the repository', error))
  }
  findings.push(...(structure?.findings() ?? []))
  const bytesListed = [...listing.objects.values()].reduce((sum, bytes) => sum + bytes, 0)
  const looked = { ...structure?.looked, ...logs, objects: listing.objects.size, bytesListed }
  return verification(findings, looked, (request.nowMs() - startedMs) / 1000)
}

/** The look at the trees, shared with scrub: both begin by it. */
export class Structure {
  readonly damage = new Damage()
  readonly #request: CheckRequest
  readonly inventory: Inventory
  readonly #findings: Finding[] = []
  readonly #unlisted = new Map<string, Set<string>>()
  #leaves = 0
  #nodes = 0
  #bytesRead = 0
  #trees = 0

  constructor(request: CheckRequest, inventory: Inventory) {
    this.#request = request
    this.inventory = inventory
    for (const [packId, found] of inventory.lostPacks) this.damage.addPack(packId, found)
  }

  get looked(): Record<string, number> {
    return {
      snapshots: this.inventory.manifests.length,
      packs: this.inventory.packs.size,
      trees: this.#trees,
      nodes: this.#nodes,
      leaves: this.#leaves,
      bytesRead: this.#bytesRead,
    }
  }

  async look(further: (structure: Structure) => Promise<readonly Finding[]>): Promise<void> {
    const { repository } = this.#request
    const { manifests } = this.inventory
    await this.#walk()
    this.#findings.push(...(await further(this)))
    this.#findings.push(...(await damagedProofs(repository)))
    this.#findings.push(...(await affectedBy(repository, manifests, this.damage)))
  }

  findings(): Finding[] {
    return [...this.#findings, ...this.#lostIndexes(), ...this.#unlistedPacks()]
  }

  /** For a look that was interrupted: whom the damage affects could not be found out any more. */
  damageKnown(): Finding[] {
    return this.damage.packIds.map((packId) => ({ ...this.damage.findingOf(packId), patientsComplete: false }))
  }

  async #walk(): Promise<void> {
    const trees = this.inventory.manifests.flatMap(treesOf)
    const { repository, signal, onProgress } = this.#request
    const visitor = {
      wants: (place: ChunkPlace) => !this.damage.isWhollyLost(place.packId),
      onNode: (seat: Seat) => this.#place(seat),
      onLeaf: (seat: Seat) => this.#leaf(seat),
      onDamage: ({ entry }: Seat, message: string) => this.damage.addChunk(entry.place, 'node-damaged', message),
      onShape: ({ tree }: Seat, message: string) => this.#shape(tree, message),
    }
    const walk = new TreeWalk(repository, visitor, signal)
    try {
      for (const tree of trees) {
        await walk.visit(tree)
        this.#trees += 1
        onProgress?.({ treesDone: this.#trees, trees: trees.length })
      }
    } finally {
      this.#nodes = walk.nodes
      this.#bytesRead = walk.bytesRead
    }
    for (const tree of trees) {
      const { table, kind, snapshotId } = tree
      if (kind !== 'locator' || table === null || table.locator?.rows === table.rows.rows) continue
      const message = `the locator of ${table.name} has ${table.locator?.rows} rows, the table has ${table.rows.rows}`
      this.#findings.push(
        finding({ kind: 'locator-disagrees', message, tables: [table.name], snapshots: [snapshotId] }),
      )
    }
  }

  #leaf(seat: Seat): void {
    this.#leaves += 1
    this.#place(seat)
    const { entry, tree } = seat
    const pack = this.inventory.packs.get(entry.place.packId)
    if (!pack || hasRoom(entry.place, pack.bytes)) return
    const message = `a leaf of ${tree.spec.name} lies outside its pack ${pack.packId}`
    this.damage.addChunk(entry.place, 'leaf-place', message)
  }

  #place({ tree, entry }: Seat): void {
    const { packId } = entry.place
    if (this.inventory.packs.has(packId)) return
    const known = this.#unlisted.get(packId)
    const names = [...tableNames(tree), tree.snapshotId]
    if (known) for (const name of names) known.add(name)
    else this.#unlisted.set(packId, new Set(names))
    if (this.inventory.unlistedPacks.has(packId) || this.damage.isWhollyLost(packId)) return
    const message = `pack ${packId} is not there, and no index lists it`
    this.damage.addPack(packId, finding({ kind: 'pack-missing', object: packKey(packId), message }))
  }

  #shape(tree: SnapshotTree, message: string): void {
    this.#findings.push(
      finding({ kind: 'tree-shape', message, tables: tableNames(tree), snapshots: [tree.snapshotId] }),
    )
  }

  /** A pack that a tree needs and no index lists cannot be checked: its index is lost, or never listed it. */
  #unlistedPacks(): Finding[] {
    const { manifests, unlistedPacks, lostIndexes } = this.inventory
    const needed = [...this.#unlisted].filter(([packId]) => unlistedPacks.has(packId))
    const ids = new Set(manifests.map((manifest) => manifest.snapshotId))
    const named = needed.flatMap(([, names]) => [...names])
    const found: Finding[] = []
    if (needed.length > 0 && lostIndexes.size === 0) {
      const message = `${needed.length} packs are needed, and no index lists them`
      const snapshots = [...new Set(named.filter((name) => ids.has(name)))].sort()
      const tables = [...new Set(named.filter((name) => !ids.has(name)))].sort()
      found.push(finding({ kind: 'pack-unlisted', message, tables, snapshots }))
    }
    const garbage = unlistedPacks.size - needed.length
    if (garbage > 0) {
      const message = `${garbage} packs belong to no snapshot: a backup was cut off, or is under way`
      found.push(warning({ kind: 'garbage', message }))
    }
    return found
  }

  #lostIndexes(): Finding[] {
    const names = [...this.#unlisted.values()].flatMap((set) => [...set])
    const ids = new Set(this.inventory.manifests.map((manifest) => manifest.snapshotId))
    const snapshots = names.filter((name) => ids.has(name))
    const tables = [...new Set(names.filter((name) => !ids.has(name)))].sort()
    const hint =
      'The rows can still be read; without the index nobody knows whether its packs are whole. Bring it back from a copy.'
    return [...this.inventory.lostIndexes.values()].map((found) => {
      const all = [...new Set([...found.snapshots, ...snapshots])].sort()
      return { ...found, tables, snapshots: all, hint }
    })
  }
}

function hasRoom({ offset, storedBytes }: ChunkPlace, packBytes: number): boolean {
  return offset >= PACK_HEADER_BYTES && offset + storedBytes <= packBytes - PACK_TRAILER_BYTES
}
