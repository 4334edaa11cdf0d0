/**
 * The contract in a directory, and what only a file system can do: fill up, be read-only, not be mounted, hold what a
 * dead writer left. Full and read-only file systems are real ones (tmpfs), where this machine lets us mount them.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, stat, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDirectoryStore, openDirectoryStore } from '../../../src/repository/store/directory.ts'
import { createStore, openStore } from '../../../src/repository/store/open.ts'
import { codeOf, describeStore, keysOf, randomPlace } from './store-suite.ts'

const base = await mkdtemp(join(tmpdir(), 'chartkeep-directory-'))
afterAll(async () => await rm(base, { recursive: true, force: true }))

const urlOf = (...path: string[]) => pathToFileURL(join(base, ...path)).href

describeStore('directory', { open: async (place) => await createStore({ url: urlOf(place, 'in', 'here') }) })
describeStore('directory without hard links', {
  open: async (place) => await createDirectoryStore(urlOf(place), { canLink: false }),
  isWeak: true,
})

async function freshStore() {
  const place = randomPlace()
  return { store: await createDirectoryStore(urlOf(place)), root: join(base, place), url: urlOf(place) }
}

describe('a directory as a store', () => {
  test('is made readable for its owner only, files and folders alike', async () => {
    const { store, root } = await freshStore()

    await store.put('folder/object', new Uint8Array(1))

    const modeOf = async (path: string) => ((await stat(join(root, path))).mode & 0o777).toString(8)
    expect(await modeOf('.')).toBe('700')
    expect(await modeOf('folder')).toBe('700')
    expect(await modeOf('folder/object')).toBe('600')
  })

  test('leaves nothing behind in its temporary folder, whether a put succeeds or is refused', async () => {
    const { store, root } = await freshStore()

    await store.put('key', new Uint8Array(1))
    await codeOf(store.put('key', new Uint8Array(1)))
    await codeOf(store.put('key/below', new Uint8Array(1)))

    expect(await readdir(join(root, '+tmp'))).toEqual([])
  })

  test('sweeps what a dead writer left a day ago, and leaves what may still be written', async () => {
    const { root, url } = await freshStore()
    const nowMs = Date.UTC(2026, 0, 10)
    for (const [name, ageHours] of [
      ['old', 25],
      ['young', 23],
    ] as const) {
      await writeFile(join(root, '+tmp', name), 'x')
      await utimes(
        join(root, '+tmp', name),
        (nowMs - ageHours * 3_600_000) / 1000,
        (nowMs - ageHours * 3_600_000) / 1000,
      )
    }

    const store = await openDirectoryStore(url, { nowMs: () => nowMs })

    expect(await readdir(join(root, '+tmp'))).toEqual(['young'])
    expect(await keysOf(store, '')).toEqual([])
  })

  test('refuses a directory that is not there, or is none of ours, instead of showing an empty repository', async () => {
    await mkdir(join(base, 'somebody-elses'))
    await writeFile(join(base, 'a-file'), 'x')

    for (const place of ['nowhere', 'somebody-elses', 'a-file']) {
      expect(await codeOf(openStore({ url: urlOf(place) }))).toBe('repository-not-found')
    }
  })

  test('that goes away under an open handle makes every call fail: never empty, never null (F17)', async () => {
    const { store, root } = await freshStore()
    await store.put('here', new Uint8Array(1))

    await rm(root, { recursive: true })
    await mkdir(root)

    expect(await codeOf(store.get('here'))).toBe('repository-not-found')
    expect(await codeOf(store.getRange('here', 0, 1))).toBe('repository-not-found')
    expect(await codeOf(store.stat('here'))).toBe('repository-not-found')
    expect(await codeOf(store.delete('here'))).toBe('repository-not-found')
    expect(await codeOf(keysOf(store, ''))).toBe('repository-not-found')
    expect(await codeOf(store.put('more', new Uint8Array(1)))).toBe('repository-not-found')
  })

  test('that goes away in the middle of a listing makes the listing fail', async () => {
    const { store, root } = await freshStore()
    for (const key of ['a/1', 'b/1', 'c/1']) await store.put(key, new Uint8Array(1))

    const listing = (async () => {
      for await (const object of store.list('')) if (object.key === 'a/1') await rm(root, { recursive: true })
    })()

    expect(await codeOf(listing)).toBe('repository-not-found')
  })

  test('ignores files whose names cannot be keys, and files that go away under the listing', async () => {
    const { store, root } = await freshStore()
    for (const key of ['1', '2', '3']) await store.put(key, new Uint8Array(1))
    await mkdir(join(root, 'lost+found'))
    await writeFile(join(root, 'a copy.txt'), 'x')
    await symlink('/nowhere', join(root, 'dangling'))

    const seen: string[] = []
    for await (const { key } of store.list('')) {
      seen.push(key)
      if (key === '1') await unlink(join(root, '2'))
    }

    expect(seen.filter((key) => key !== '2')).toEqual(['1', '3'])
  })

  test('takes an existing folder for no object: a key above it is refused, not called taken', async () => {
    const { store } = await freshStore()
    await store.put('folder/object', new Uint8Array(1))

    expect(await codeOf(store.put('folder', new Uint8Array(1)))).toBe('store-refused')
  })

  test('makes a folder again that somebody has cleared away under an open handle', async () => {
    const { store, root } = await freshStore()
    await store.put('folder/first', new Uint8Array(1))
    await rm(join(root, 'folder'), { recursive: true })

    const codes = [await codeOf(store.put('folder/second', new Uint8Array(1)))]
    codes.push(await codeOf(store.put('folder/third', new Uint8Array(1))))

    expect(codes[1]).toBe('none')
    expect(await keysOf(store, 'folder/third')).toEqual(['folder/third'])
  })

  test('is made again over an existing one without harm', async () => {
    const { store, url } = await freshStore()
    await store.put('kept', new Uint8Array(1))

    const again = await createStore({ url })

    expect(await keysOf(again, '')).toEqual(['kept'])
  })

  test('whose writer is killed holds whole objects only, and the next writer goes on', {
    timeout: 60_000,
  }, async () => {
    const { store, root, url } = await freshStore()

    for (let round = 0; round < 4; round += 1) {
      const writer = spawnWriter(url, round)
      for (let put = 0; put <= round; put += 1) await once(writer.stdout, 'data')
      const ended = once(writer, 'exit')
      writer.kill('SIGKILL')
      await ended
    }

    const objects = await Array.fromAsync(store.list(''))
    expect(objects.length).toBeGreaterThanOrEqual(10)
    for (const { key, bytes } of objects) {
      expect(bytes).toBe(WRITTEN_BYTES)
      expect((await store.get(key)).every((byte) => byte === 0x77)).toBe(true)
    }
    await store.put('after', new Uint8Array(1))
    expect((await readdir(join(root, '+tmp'))).length).toBeLessThanOrEqual(4)
  })

  test.each(['file://host/path', 'ftp://host/path', 'nonsense', 's3://'])('the address %s is refused', async (url) => {
    expect(await codeOf(openStore({ url }))).toBe('bad-configuration')
  })
})

const WRITTEN_BYTES = 3_000_000

/** A process of its own that puts one object after another, and says so after each. */
function spawnWriter(url: string, round: number) {
  const opener = new URL('../../../src/repository/store/open.ts', import.meta.url).href
  const program = `
    const { openStore } = await import(${JSON.stringify(opener)})
    const store = await openStore({ url: ${JSON.stringify(url)} })
    for (let index = 0; ; index += 1) {
      await store.put('${round}/' + index, new Uint8Array(${WRITTEN_BYTES}).fill(0x77))
      console.log(index)
    }`
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program]
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

function mount(root: string, options: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', root], { stdio: 'ignore' }).status === 0
}

/** Tried and undone at once: tests that are filtered out must leave no mount behind. */
function tryMount(): boolean {
  return mount(smallDisk, 'size=1m') && unmount()
}

function unmount(): boolean {
  return spawnSync('umount', [smallDisk], { stdio: 'ignore' }).status === 0
}

const smallDisk = join(base, 'small-disk')
await mkdir(smallDisk)
const canMount = process.platform === 'linux' && process.getuid?.() === 0 && tryMount()
if (!canMount)
  process.stderr.write('skipped: full and read-only file systems, because this user cannot mount a tmpfs\n')

describe.skipIf(!canMount)('a file system of one MiB', () => {
  const url = urlOf('small-disk', 'repository')
  beforeAll(async () => {
    expect(mount(smallDisk, 'size=1m')).toBe(true)
    const store = await createDirectoryStore(url)
    await store.put('first', new Uint8Array(1000))
  })
  afterAll(() => {
    unmount()
  })

  test('that is full: the put fails as store-full, leaves no part and no litter, and the rest is whole', async () => {
    const store = await openDirectoryStore(url)

    expect(await codeOf(store.put('folder/too-large', new Uint8Array(4 << 20)))).toBe('store-full')

    expect(await store.stat('folder/too-large')).toBe(null)
    expect(await keysOf(store, '')).toEqual(['first'])
    expect(await readdir(join(smallDisk, 'repository', '+tmp'))).toEqual([])
    await store.put('fits', new Uint8Array(1000))
    expect((await store.get('fits')).length).toBe(1000)
  })

  test('that is read-only: reading goes on, and writing and deleting are store-refused', async () => {
    expect(spawnSync('mount', ['-o', 'remount,ro', smallDisk]).status).toBe(0)

    const store = await openDirectoryStore(url)

    expect((await store.get('first')).length).toBe(1000)
    expect(await codeOf(store.put('second', new Uint8Array(1)))).toBe('store-refused')
    expect(await codeOf(store.delete('first'))).toBe('store-refused')
    expect(await codeOf(createStore({ url: urlOf('small-disk', 'another') }))).toBe('store-refused')
  })
})
