/**
 * Backups to a real S3 server through a network that is cut at random bytes: either it is tried again and the snapshot
 * is whole, or the run fails as what it is; the judge is that of the fault sweep. NETWORK_SEED sets the seed, which is
 * printed.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Radosgw, startRadosgw, whyNoRadosgw } from '../../scripts/support/radosgw.ts'
import { openStore } from '../../src/repository/store/open.ts'
import { prepareSweep, runThrough, type Sweep } from '../support/fault-sweep.ts'
import { type ConnectionFault, startTcpProxy } from '../support/tcp-proxy.ts'

const CASES = Number(process.env.FAULTS ?? 4)
const seed = Number(process.env.NETWORK_SEED ?? Date.now() % 2 ** 31)
const why = whyNoRadosgw()
if (why !== null) process.stderr.write(`skipped: backups to S3 through a broken network, because ${why}\n`)

const faults = fc.array(
  fc.record({
    connection: fc.integer({ min: 1, max: 4 }),
    direction: fc.constantFrom('up', 'down'),
    afterBytes: fc.integer({ min: 0, max: 14 }).map((power) => 2 ** power),
    action: fc.constantFrom('close', 'reset'),
  }),
  { minLength: 1, maxLength: 3 },
)

describe.skipIf(why !== null)('a backup to radosgw', () => {
  let gateway: Radosgw
  let sweep: Sweep
  beforeAll(async () => {
    process.stdout.write(`broken network: NETWORK_SEED=${seed} FAULTS=${CASES}\n`)
    gateway = await startRadosgw()
    await gateway.makeBucket('sim')
    sweep = await prepareSweep({ vitals: 300 })
  }, 90_000)
  afterAll(async () => await gateway?.stop())

  test(
    'through a network that is cut at any byte is whole, or fails as what it is, and heals with the next run',
    async () => {
      const plans: ConnectionFault[][] = fc.sample(faults, { numRuns: CASES, seed })
      const ends: string[] = []
      for (const [number, plan] of plans.entries()) {
        const direct = await openStore(gateway.settings(`sim/case-${number}`))
        for (const [key, bytes] of sweep.start.objects) await direct.put(key, bytes)
        const proxy = await startTcpProxy({ port: gateway.port }, plan)
        try {
          const settings = gateway.settings(`sim/case-${number}`, `http://127.0.0.1:${proxy.port}`)
          const through = await openStore(settings, direct.capabilities)
          ends.push((await runThrough(sweep, through, direct)).code)
          await through.close()
        } finally {
          await proxy.close()
          await direct.close()
        }
      }

      expect(ends.filter((end) => !['whole', 'store-unreachable'].includes(end))).toEqual([])
      expect(ends).toContain('whole')
    },
    60_000 + CASES * 30_000,
  )
})
