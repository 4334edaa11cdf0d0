/** What can be said of a real bucket, and of a directory, without writing to it; F16: rules by which the store itself deletes. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Radosgw, startRadosgw, whyNoRadosgw } from '../../../scripts/support/radosgw.ts'
import { lookAtStore } from '../../../src/repository/store/look.ts'

const HOUR_MS = 3_600_000

describe.runIf(whyNoRadosgw() === null)('a look at a bucket', () => {
  let rgw: Radosgw

  beforeAll(async () => {
    rgw = await startRadosgw()
  }, 120_000)

  afterAll(() => rgw?.stop())

  it('tells its clock, and that it keeps no versions and removes nothing, and leaves nothing there', async () => {
    await rgw.makeBucket('plain')
    const look = await lookAtStore(rgw.settings('plain/icu'), Date.now)

    expect(look).toMatchObject({ mayWrite: null, freeBytes: null, expiryRules: [], keepsVersions: false })
    expect(Math.abs(look.clockOffsetSeconds ?? 99)).toBeLessThan(2)
    expect(await Array.fromAsync(rgw.client().listObjectsV2('plain', '', true))).toEqual([])
  })

  it('tells by how much our clock is off', async () => {
    await rgw.makeBucket('late')
    const look = await lookAtStore(rgw.settings('late/icu'), () => Date.now() + HOUR_MS)

    expect(look.clockOffsetSeconds).toBeLessThan(-3590)
    expect(look.clockOffsetSeconds).toBeGreaterThan(-3610)
  })

  it('finds the rule that removes what a snapshot needs, and no rule of another prefix (F16)', async () => {
    await rgw.makeBucket('expiring', { versioned: true })
    const rule = (ID: string, Prefix: string, Status: string) => ({
      ID,
      Status,
      Filter: { Prefix },
      Expiration: { Days: 90 },
    })
    const Rule = [rule('all', '', 'Enabled'), rule('others', 'other/', 'Enabled'), rule('off', 'icu/', 'Disabled')]
    await rgw.client().setBucketLifecycle('expiring', { Rule })
    const look = await lookAtStore(rgw.settings('expiring/icu'), Date.now)

    expect(look).toMatchObject({ expiryRules: ['all: Days 90'], keepsVersions: true })
  })
})

describe('a look at a directory', () => {
  it('tells how much room there is, and writes nothing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'chartkeep-look-'))
    const look = await lookAtStore({ url: `file://${directory}` }, Date.now)
    const left = await readdir(directory)
    await rm(directory, { recursive: true })

    expect(look).toMatchObject({ mayWrite: true, clockOffsetSeconds: null, expiryRules: [] })
    expect(look.freeBytes).toBeGreaterThan(0)
    expect(left).toEqual([])
  })

  it('that is not there is an error', async () => {
    await expect(lookAtStore({ url: 'file:///nonexistent/chartkeep' }, Date.now)).rejects.toMatchObject({
      code: 'store-unreachable',
    })
  })
})
