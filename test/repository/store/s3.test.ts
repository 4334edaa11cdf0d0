/** The contract, on a real S3 server: plain, versioned (where If-None-Match is ignored, F37), and under a deep prefix. */
import { afterAll, beforeAll, describe } from 'vitest'
import { type Radosgw, startRadosgw, whyNoRadosgw } from '../../../scripts/support/radosgw.ts'
import type { StoreCapabilities } from '../../../src/repository/store/contract.ts'
import { openStore } from '../../../src/repository/store/open.ts'
import { describeStore } from './store-suite.ts'

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

  describeStore('S3', { open: open('plain'), secrets })
  describeStore('S3, versioned bucket', { open: open('versioned'), secrets, isWeak: true, manyKeys: 1050 })
})
