/** The contract, on a real S3 server: plain, versioned (where If-None-Match is ignored, F37), and under a deep prefix. */
import type { LookupFunction } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Radosgw, startRadosgw, whyNoRadosgw } from '../../../scripts/support/radosgw.ts'
import type { StoreCapabilities } from '../../../src/repository/store/contract.ts'
import { openStore } from '../../../src/repository/store/open.ts'
import { openS3Store } from '../../../src/repository/store/s3.ts'
import { describeStore, keysOf } from './store-suite.ts'

const why = whyNoRadosgw()
if (why !== null) process.stderr.write(`skipped: stores on S3, because ${why}\n`)

describe.skipIf(why !== null)('on radosgw', () => {
  let gateway: Radosgw
  beforeAll(async () => {
    gateway = await startRadosgw()
    await gateway.makeBucket('plain')
    await gateway.makeBucket('versioned', { versioned: true })
  }, 60_000)
  afterAll(async () => await gateway.stop())

  const secrets: string[] = []
  const open = (bucket: string) => {
    let known: StoreCapabilities | undefined
    return async (place: string) => {
      if (secrets.length === 0) secrets.push(gateway.secretKey, gateway.accessKey)
      const store = await openStore(gateway.settings(`${bucket}/deep/er/${place}`), known)
      known = store.capabilities
      return store
    }
  }

  test('a bucket addressed by host is the same bucket as one addressed by path', async () => {
    const byPath = await openStore(gateway.settings('plain/style'))
    const settings = gateway.settings('plain/style', `http://localhost:${gateway.port}`)
    const asked: string[] = []
    const lookup: LookupFunction = (hostname, options, found) => {
      asked.push(hostname)
      if (options.all) found(null, [{ address: '127.0.0.1', family: 4 }])
      else found(null, '127.0.0.1', 4)
    }

    const byHost = await openS3Store({ ...settings, url: `${settings.url}&style=host` }, { lookup })
    await byHost.put('folder/key', Uint8Array.from([1, 2, 3]))

    expect(new Set(asked)).toEqual(new Set(['plain.localhost']))
    expect([...(await byPath.getRange('folder/key', 1, 3))]).toEqual([2, 3])
    expect(await keysOf(byHost, 'folder/')).toEqual(['folder/key'])
    await byHost.delete('folder/key')
    expect(await byPath.stat('folder/key')).toBe(null)
    await Promise.all([byPath.close(), byHost.close()])
  })

  describeStore('S3', { open: open('plain'), secrets })
  describeStore('S3, versioned bucket', { open: open('versioned'), secrets, isWeak: true, manyKeys: 1050 })
})
