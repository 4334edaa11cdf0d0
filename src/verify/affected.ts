/**
 * What damage affects: walks every tree of every snapshot for the damaged chunks, and says for each pack which tables,
 * snapshots and rows need it, and between which keys. Only run when there is damage.
 *
 *     damaged chunk ─→ every tree that holds it ─→ table, snapshots
 *                  └─→ (key before, last key] ─→ anchors ─→ patients           (patients.ts)
 */
import { Failure } from '../errors.ts'
import type { Manifest } from '../repository/manifest.ts'
import { ChunkReader } from '../repository/pack/chunk-reader.ts'
import type { Repository } from '../repository/repository.ts'
import { isOfTable, type SnapshotTree, specId, tableNames, treesOf } from '../repository/snapshot-trees.ts'
import { TreeReader } from '../repository/tree/tree-reader.ts'
import { rootEntry } from '../repository/tree/tree-root.ts'
import type { Damage } from './damage.ts'
import { damageOf, type Finding } from './finding.ts'
import { type LostRange, PatientFinder } from './patients.ts'
import { childSeats, type Seat } from './walk.ts'

interface Affected {
  readonly tables: Set<string>
  readonly snapshots: Set<string>
  readonly ranges: LostRange[]
  rows: number
}

/** `manifests`: newest first. @throws store-… */
export async function affectedBy(
  repository: Repository,
  manifests: readonly Manifest[],
  damage: Damage,
): Promise<Finding[]> {
  if (damage.packIds.length === 0) return []
  const trace = new DamageTrace(repository, damage)
  for (const manifest of manifests) for (const tree of treesOf(manifest)) await trace.visit(tree)

  const ranges = [...trace.affected.values()].flatMap((affected) => affected.ranges)
  const patients = await new PatientFinder(repository, manifests).find(ranges)
  return damage.packIds.map((packId) => {
    const affected = trace.affected.get(packId)
    const { pseudonyms, complete, count } = patients.get(packId) ?? { pseudonyms: [], complete: true, count: 0 }
    const found = damage.findingOf(packId)
    const known =
      count > pseudonyms.length ? `${found.message}; ${count} patients are known to be affected` : found.message
    return {
      ...found,
      message: known,
      tables: [...(affected?.tables ?? [])].sort(),
      snapshots: [...(affected?.snapshots ?? [])].sort(),
      patients: pseudonyms,
      patientsComplete: complete,
      rows: affected?.rows ?? 0,
    }
  })
}

class DamageTrace {
  /** By pack. */
  readonly affected = new Map<string, Affected>()
  readonly #repository: Repository
  readonly #damage: Damage
  readonly #chunks: ChunkReader
  /** Damaged packs at or below a node. A node's place and digest name everything below it. */
  readonly #below = new Map<string, ReadonlySet<string>>()
  readonly #counted = new Set<string>()

  constructor(repository: Repository, damage: Damage) {
    this.#repository = repository
    this.#damage = damage
    this.#chunks = new ChunkReader(repository.store, repository.keyring.secrets.dataKeys)
  }

  async visit(tree: SnapshotTree): Promise<void> {
    const reader = new TreeReader(tree.spec, this.#chunks, this.#repository.keyring.secrets)
    const root: Seat = { tree, entry: rootEntry(tree.root), level: tree.root.level, after: null, isLast: true }
    for (const packId of await this.#packsBelow(reader, root)) {
      const affected = this.#of(packId)
      for (const name of tableNames(tree)) affected.tables.add(name)
      affected.snapshots.add(tree.snapshotId)
    }
  }

  async #packsBelow(reader: TreeReader, seat: Seat): Promise<ReadonlySet<string>> {
    const { entry, level, tree } = seat
    const id = `${specId(tree.spec)} ${entry.place.packId} ${entry.place.offset}`
    const known = this.#below.get(id)
    if (known) return known
    const packs = new Set<string>()
    if (this.#damage.has(entry.place)) this.#lost(seat, id, packs)
    else if (level > 0) {
      for (const child of await this.#children(reader, seat)) {
        for (const packId of await this.#packsBelow(reader, child)) packs.add(packId)
      }
    }
    // Of whole leaves, of which there are many, nothing need be remembered.
    if (level > 0 || packs.size > 0) this.#below.set(id, packs)
    return packs
  }

  async #children(reader: TreeReader, seat: Seat): Promise<Seat[]> {
    try {
      return childSeats(seat, await reader.readNode(seat.entry, seat.level))
    } catch (error) {
      // It was whole when the walk before this one read it.
      throw new Failure('store-unreachable', 'the store gives other bytes from one reading to the next', {
        cause: damageOf(error),
      })
    }
  }

  #lost({ tree, entry, after }: Seat, id: string, packs: Set<string>): void {
    const { packId } = entry.place
    packs.add(packId)
    if (this.#counted.has(id) || tree.kind === 'locator' || !isOfTable(tree)) return
    this.#counted.add(id)
    const affected = this.#of(packId)
    if (tree.kind === 'rows') affected.rows += entry.rows
    const previous = affected.ranges.at(-1)
    const lastKey = entry.lastKey.length > 0 ? entry.lastKey : null
    if (previous && previous.tree === tree && continues(previous, after)) {
      affected.ranges[affected.ranges.length - 1] = { ...previous, lastKey, rows: previous.rows + entry.rows }
    } else affected.ranges.push({ packId, tree, after, lastKey, rows: entry.rows })
  }

  #of(packId: string): Affected {
    const known = this.affected.get(packId)
    if (known) return known
    const made: Affected = { tables: new Set(), snapshots: new Set(), ranges: [], rows: 0 }
    this.affected.set(packId, made)
    return made
  }
}

function continues(range: LostRange, after: Uint8Array | null): boolean {
  return range.lastKey !== null && after !== null && Buffer.compare(range.lastKey, after) === 0
}
