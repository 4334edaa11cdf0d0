/**
 * What put promises about power loss, seen in the order of system calls: the file's bytes are synced before it gets its
 * name, and after that every directory from its own up to the root of the store. File system calls are recorded and
 * carried out for real.
 */
import type { FileHandle } from 'node:fs/promises'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createDirectoryStore, openDirectoryStore } from '../../../src/repository/store/directory.ts'
import { codeOf } from './store-suite.ts'

const recorded = vi.hoisted(() => ({ events: [] as { call: string; path: string }[] }))

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const note = (call: string, path: unknown) => recorded.events.push({ call, path: String(path) })
  const open: typeof real.open = async (path, ...rest) =>
    watchSync(await real.open(path, ...rest), () => note('sync', path))
  const link: typeof real.link = async (from, to) => {
    note('link', to)
    await real.link(from, to)
  }
  return { ...real, open, link }
})

function watchSync(file: FileHandle, noted: () => void): FileHandle {
  const sync = file.sync.bind(file)
  file.sync = async () => {
    await sync()
    noted()
  }
  return file
}

let base: string
let root: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'chartkeep-durability-'))
  root = join(base, 'made', 'here')
  recorded.events.length = 0
})
afterEach(async () => await rm(base, { recursive: true }))

/** As `sync a/b`, relative to the root; temporary names by their kind. */
function story(): string[] {
  return recorded.events.map(({ call, path }) => {
    const place = relative(root, path)
    return `${call} ${place.startsWith('+tmp/') ? '+tmp/…' : place || '.'}`
  })
}

test('a store is made with every new directory durable in the one above it', async () => {
  await createDirectoryStore(pathToFileURL(root).href)

  expect(story().slice(0, 3)).toEqual(['sync ../..', 'sync ..', 'sync .'])
})

test('a put syncs the bytes, then the folders from the root down, then names the object, then syncs its folder', async () => {
  const store = await createDirectoryStore(pathToFileURL(root).href)
  recorded.events.length = 0

  await store.put('x/y/object', new Uint8Array(10))

  expect(story()).toEqual(['sync +tmp/…', 'sync .', 'sync x', 'link x/y/object', 'sync x/y'])
})

test('a second put into the folder of the first syncs what it changes, and no more', async () => {
  const store = await createDirectoryStore(pathToFileURL(root).href)
  await store.put('x/y/object', new Uint8Array(10))
  recorded.events.length = 0

  await store.put('x/y/another', new Uint8Array(10))

  expect(story()).toEqual(['sync +tmp/…', 'link x/y/another', 'sync x/y'])
})

test('another handle relies on no sync that its neighbour may still owe', async () => {
  const url = pathToFileURL(root).href
  const [first, second] = [await createDirectoryStore(url), await openDirectoryStore(url)]
  await first.put('x/y/object', new Uint8Array(10))
  recorded.events.length = 0

  await second.put('x/y/another', new Uint8Array(10))

  expect(story()).toEqual(['sync +tmp/…', 'sync .', 'sync x', 'link x/y/another', 'sync x/y'])
})

test('whoever is told that a key is taken may rely on the object: its folder is synced first', async () => {
  const store = await createDirectoryStore(pathToFileURL(root).href)
  await store.put('x/object', new Uint8Array(10))
  recorded.events.length = 0

  const code = await codeOf(store.put('x/object', new Uint8Array(10)))

  expect(code).toBe('object-exists')
  expect(story()).toEqual(['sync +tmp/…', 'link x/object', 'sync x'])
})

test('a delete is durable: the folder is synced after it', async () => {
  const store = await createDirectoryStore(pathToFileURL(root).href)
  await store.put('x/object', new Uint8Array(10))
  recorded.events.length = 0

  await store.delete('x/object')

  expect(story()).toEqual(['sync x'])
})
