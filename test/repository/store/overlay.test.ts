/** A scratch directory over a store keeps the contract of a store, and leaves the store below as it is. */
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import type { Store } from '../../../src/repository/store/contract.ts'
import { createStore, openStore } from '../../../src/repository/store/open.ts'
import { makeScratch, openOverlay, type Scratch } from '../../../src/repository/store/overlay.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { describeStore } from './store-suite.ts'

const opened = new AsyncDisposableStack()
afterAll(() => opened.disposeAsync())

const places = new Map<string, { base: Store; scratch: Scratch }>()
describeStore('a scratch directory over a store', {
  open: async (name) => {
    const place = places.get(name) ?? { base: new MemoryStore(), scratch: opened.use(await makeScratch(tmpdir())) }
    places.set(name, place)
    return await openOverlay(place.base, place.scratch.url)
  },
})

test('what is put over a store is read with what lies below, and never gets into it', async () => {
  await using below = await makeScratch(tmpdir())
  const base = await createStore({ url: below.url })
  await base.put('packs/aa/below', Buffer.from('below'))
  let path: string
  {
    await using scratch = await makeScratch(tmpdir())
    path = fileURLToPath(scratch.url)
    const settings = { url: below.url, scratchUrl: scratch.url }
    const overlay = await openStore(settings)
    await overlay.put('packs/aa/above', Buffer.from('above'))
    const again = await openStore(settings, overlay.capabilities)

    expect((await Array.fromAsync(again.list('packs/'))).map(({ key }) => key)).toEqual([
      'packs/aa/above',
      'packs/aa/below',
    ])
    expect(Buffer.from(await again.getRange('packs/aa/above', 1, 3)).toString()).toBe('bo')
    expect(Buffer.from(await again.get('packs/aa/below')).toString()).toBe('below')
    await expect(again.put('packs/aa/below', Buffer.from(''))).rejects.toMatchObject({ code: 'object-exists' })
    await expect(again.delete('packs/aa/below')).rejects.toMatchObject({ code: 'defect' })
    expect((await Array.fromAsync(base.list(''))).map(({ key }) => key)).toEqual(['packs/aa/below'])
  }
  expect(existsSync(path)).toBe(false)
})
