/**
 * Damage by pack: the whole of it, or some of its chunks. One finding for each pack, whatever number of its chunks is
 * damaged: what an operator brings back from a copy is the pack.
 */
import { packKey } from '../repository/layout.ts'
import type { ChunkPlace } from '../repository/tree/node-codec.ts'
import { type Finding, type FindingKind, finding } from './finding.ts'

interface DamagedPack {
  finding: Finding
  /** Offsets of the damaged chunks; null for all of them. None: the pack is altered, and all it holds can be read. */
  chunks: Set<number> | null
}

const HINT = 'Bring the object back from a copy, or take a new snapshot: what is damaged is stored again then.'

export class Damage {
  readonly #packs = new Map<string, DamagedPack>()

  get packIds(): string[] {
    return [...this.#packs.keys()]
  }

  has({ packId, offset }: ChunkPlace): boolean {
    const pack = this.#packs.get(packId)
    return pack !== undefined && (pack.chunks === null || pack.chunks.has(offset))
  }

  isWhollyLost(packId: string): boolean {
    return this.#packs.get(packId)?.chunks === null
  }

  /** All that the pack holds is to be taken for lost. */
  addPack(packId: string, found: Finding): void {
    this.#packs.set(packId, { finding: found, chunks: null })
  }

  addChunk({ packId, offset }: ChunkPlace, kind: FindingKind, message: string): void {
    this.#of(packId, kind, message).chunks?.add(offset)
  }

  /** The pack is not what was stored, which need not mean that a chunk is lost. */
  addNote(packId: string, kind: FindingKind, message: string): void {
    this.#of(packId, kind, message)
  }

  /** The pack's finding, with the number of its chunks that are lost. */
  findingOf(packId: string): Finding {
    const { finding: found, chunks } = this.#packs.get(packId)!
    if (chunks === null) return found
    const lost = chunks.size === 0 ? 'every chunk in it can still be read' : `${chunks.size} of its chunks are damaged`
    return { ...found, message: `${found.message}; ${lost}` }
  }

  #of(packId: string, kind: FindingKind, message: string): DamagedPack {
    const known = this.#packs.get(packId)
    if (known) return known
    const made = { finding: finding({ kind, message, object: packKey(packId), hint: HINT }), chunks: new Set<number>() }
    this.#packs.set(packId, made)
    return made
  }
}
