/** A probe tells what a store really does: the same server answers differently for each kind of bucket (F37). */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Radosgw, startRadosgw, whyNoRadosgw } from '../../../scripts/support/radosgw.ts'
import { createStore, openStore } from '../../../src/repository/store/open.ts'
import { assertSuitable, createSuitableStore, probeStore, renderProbe } from '../../../src/repository/store/probe.ts'
import type { StoreProbe } from '../../../src/repository/store/probe-answer.ts'
import { type S3Proxy, startS3Proxy } from '../../support/s3-proxy.ts'
import { codeOf, keysOf } from './store-suite.ts'

const answersOf = (probe: StoreProbe) =>
  Object.fromEntries(Object.entries(probe.answers).map(([question, { answer }]) => [question, answer]))

const sound = { listAfterPut: 'yes', exactRanges: 'yes', deletes: 'yes' }

test('a directory refuses second puts and racing ones, and is left as it was', async () => {
  const root = await mkdtemp(join(tmpdir(), 'chartkeep-probe-'))
  const settings = { url: pathToFileURL(root).href }
  await createStore(settings)

  const probe = await probeStore(settings)

  expect(answersOf(probe)).toEqual({
    ...sound,
    conditionalPut: 'yes',
    racingPut: 'yes',
    checksumRefused: 'unknown',
    versioning: 'no',
    objectLock: 'no',
  })
  expect(probe.url).toBe(settings.url)
  expect(await readdir(root, { recursive: true })).toEqual(['+tmp'])
  await rm(root, { recursive: true })
})

const why = whyNoRadosgw()
if (why !== null) process.stderr.write(`skipped: probes of S3 stores, because ${why}\n`)

describe.skipIf(why !== null)('on radosgw', () => {
  let gateway: Radosgw
  let proxy: S3Proxy
  beforeAll(async () => {
    gateway = await startRadosgw()
    proxy = await startS3Proxy(gateway.port)
    await gateway.makeBucket('plain')
    await gateway.makeBucket('versioned', { versioned: true })
    await gateway.makeBucket('locked', { objectLock: true })
  }, 60_000)
  afterAll(async () => {
    await proxy.close()
    await gateway.stop()
  })

  const versionsIn = async (bucket: string) =>
    await Array.fromAsync(gateway.client().listObjects(bucket, '', true, { IncludeVersion: true }))

  test.each([
    ['plain', { conditionalPut: 'yes', racingPut: 'yes', versioning: 'no', objectLock: 'no' }],
    ['versioned', { conditionalPut: 'no', racingPut: 'no', versioning: 'yes', objectLock: 'no' }],
    ['locked', { conditionalPut: 'no', racingPut: 'no', versioning: 'yes', objectLock: 'yes' }],
  ])('the %s bucket is found out, and nothing is left in it', async (bucket, expected) => {
    const probe = await probeStore(gateway.settings(`${bucket}/prefix`))

    expect(answersOf(probe)).toEqual({ ...sound, checksumRefused: 'yes', ...expected })
    assertSuitable(probe)
    expect(await versionsIn(bucket)).toEqual([])
  })

  test('opening finds the same about conditions as a probe, and shows nothing of it in a listing', async () => {
    for (const [bucket, holds] of [
      ['plain', true],
      ['versioned', false],
      ['locked', false],
    ] as const) {
      const store = await openStore(gateway.settings(bucket))

      expect(store.capabilities.conditionalPut).toBe(holds)
      expect(await keysOf(store, '')).toEqual([])
      expect(await versionsIn(bucket)).toEqual([])
      await store.close()
    }
  })

  test('a store that takes bytes under a wrong checksum is told from one that refuses them', async () => {
    const takesAnything = { status: 200, headers: {}, body: Buffer.alloc(0) }
    proxy.plan({
      name: 'accepts a wrong checksum',
      matches: ({ method, path }) => method === 'PUT' && path.includes('wrong-'),
      onward: true,
      answer: () => takesAnything,
    })

    const probe = await probeStore(gateway.settings('plain/prefix', proxy.endpoint))

    expect(probe.answers.checksumRefused.answer).toBe('no')
    proxy.assertAllFired()
  })

  test('a store whose listings lag behind cannot hold a repository', async () => {
    const empty = Buffer.from(
      '<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>',
    )
    proxy.plan({
      name: 'empty listing',
      matches: ({ path }) => path.includes('list-type=2'),
      onward: true,
      changeAnswer: (answer) => ({ ...answer, body: empty }),
    })

    const probe = await probeStore(gateway.settings('plain/prefix', proxy.endpoint))

    expect(probe.answers.listAfterPut.answer).toBe('no')
    expect(await codeOf((async () => assertSuitable(probe))())).toBe('store-unsuitable')
    expect(renderProbe(probe)).toContain('no      lists an object as soon as it is put')
    const settings = gateway.settings('plain/unsuitable', proxy.endpoint)
    expect(await codeOf(createSuitableStore(settings))).toBe('store-unsuitable')
    proxy.assertAllFired()
    const store = await openStore(gateway.settings('plain/unsuitable'))
    expect(await keysOf(store, '')).toEqual([])
    await store.close()
  })

  test('a store that goes on listing what is deleted is found out', async () => {
    let first: Buffer | null = null
    proxy.plan({
      name: 'stale listing',
      matches: ({ path }) => path.includes('listed'),
      onward: true,
      changeAnswer: (answer, { path }) => {
        if (!path.includes('list-type=2')) return answer
        first ??= answer.body
        return { ...answer, body: first }
      },
    })

    const probe = await probeStore(gateway.settings('plain/prefix', proxy.endpoint))

    expect(probe.answers.listAfterPut).toMatchObject({ answer: 'no', detail: expect.stringContaining('deleted') })
    proxy.assertAllFired()
  })
})
