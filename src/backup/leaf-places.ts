/**
 * Places of leaves by digest, for many of them: open addressing over flat arrays, some fifty bytes a leaf, where a Map
 * of objects would take five times as much. Digests are uniform, so their first bytes are hash enough.
 */
import { assert } from '../errors.ts'
import { DIGEST_BYTES } from '../repository/crypto/provider.ts'
import type { ChunkPlace } from '../repository/tree/node-codec.ts'

/** A larger offset cannot be kept here; no pack comes near it. */
const OFFSET_MAX = 2 ** 32 - 1
const FIRST_CAPACITY = 1024

export class LeafPlaces {
  readonly #packIds: string[] = []
  readonly #packNumbers = new Map<string, number>()
  #digests = new Uint8Array(FIRST_CAPACITY * DIGEST_BYTES)
  /** Pack number, offset and stored bytes of each leaf. */
  #places = new Uint32Array(FIRST_CAPACITY * 3)
  /** Leaf number plus one; 0 is free. At most half are taken. */
  #slots = new Uint32Array(FIRST_CAPACITY * 2)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The first place given for a digest stays. */
  add(digest: Uint8Array, place: ChunkPlace): void {
    assert(digest.length === DIGEST_BYTES, 'a digest has the length of a digest')
    if (place.offset > OFFSET_MAX || place.storedBytes > OFFSET_MAX) return
    if (this.#size * 2 === this.#slots.length) this.#grow()
    const slot = this.#slotOf(digest)
    if (this.#slots[slot] !== 0) return
    this.#digests.set(digest, this.#size * DIGEST_BYTES)
    this.#places.set([this.#packNumber(place.packId), place.offset, place.storedBytes], this.#size * 3)
    this.#size += 1
    this.#slots[slot] = this.#size
  }

  find(digest: Uint8Array): ChunkPlace | null {
    const number = this.#slots[this.#slotOf(digest)]!
    if (number === 0) return null
    const [pack = 0, offset = 0, storedBytes = 0] = this.#places.subarray((number - 1) * 3, number * 3)
    return { packId: this.#packIds[pack]!, offset, storedBytes }
  }

  /** Where the digest is, or the free slot where it would be. */
  #slotOf(digest: Uint8Array): number {
    const wanted = Buffer.from(digest.buffer, digest.byteOffset, digest.length)
    let slot = wanted.readUInt32LE(0) % this.#slots.length
    for (;;) {
      const number = this.#slots[slot]!
      if (number === 0) return slot
      if (wanted.equals(this.#digests.subarray((number - 1) * DIGEST_BYTES, number * DIGEST_BYTES))) return slot
      slot = (slot + 1) % this.#slots.length
    }
  }

  #packNumber(packId: string): number {
    const known = this.#packNumbers.get(packId)
    if (known !== undefined) return known
    this.#packNumbers.set(packId, this.#packIds.length)
    return this.#packIds.push(packId) - 1
  }

  #grow(): void {
    const { length } = this.#slots
    const digests = new Uint8Array(this.#digests.length * 2)
    digests.set(this.#digests)
    const places = new Uint32Array(this.#places.length * 2)
    places.set(this.#places)
    this.#digests = digests
    this.#places = places
    this.#slots = new Uint32Array(length * 2)
    for (let leaf = 0; leaf < this.#size; leaf += 1) {
      const digest = this.#digests.subarray(leaf * DIGEST_BYTES, (leaf + 1) * DIGEST_BYTES)
      this.#slots[this.#slotOf(digest)] = leaf + 1
    }
  }
}
