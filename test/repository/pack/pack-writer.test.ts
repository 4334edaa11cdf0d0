/** What a flush promises while others go on adding: whoever reads back what he has stored relies on it. */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { CHUNK_TYPES } from '../../../src/repository/pack/chunk.ts'
import { PackWriter } from '../../../src/repository/pack/pack-writer.ts'
import { MemoryStore } from '../../support/memory-store.ts'

/** Puts that end when the test says so. */
class GatedStore extends MemoryStore {
  readonly gates: (() => void)[] = []

  override async put(key: string, bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => {
      this.gates.push(resolve)
    })
    await super.put(key, bytes)
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

it('a flush waits for a full pack that another one is still waiting to put', async () => {
  const store = new GatedStore()
  const dataKey = { number: 1, key: Buffer.alloc(32, 9) }
  const packs = new PackWriter({ store, dataKey, random: randomBytes, bytesTarget: 1 })
  // Each is a pack of its own: two are being put, the third waits for one of them.
  const added = [1, 2, 3].map((byte) => packs.add(CHUNK_TYPES.leaf, Buffer.alloc(32, byte), Buffer.alloc(8, byte)))
  await turns()
  let flushed = false

  const flush = packs.flush().then(() => {
    flushed = true
  })
  store.gates.shift()!()
  store.gates.shift()!()
  await turns()

  expect({ flushed, stored: store.objects.size }).toEqual({ flushed: false, stored: 2 })
  store.gates.shift()!()
  await flush
  await Promise.all(added)
  expect(store.objects.size).toBe(3)
})
