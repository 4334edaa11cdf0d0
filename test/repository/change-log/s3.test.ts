/**
 * Change logs and leases on a real S3 server: a bucket that honours If-None-Match, and a versioned one of a server that
 * ignores it there (F37), where what two writers can do to each other is noticed and not prevented (F18).
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Radosgw, startRadosgw, whyNoRadosgw } from '../../../scripts/support/radosgw.ts'
import { Failure } from '../../../src/errors.ts'
import { openLog } from '../../../src/repository/change-log/reader.ts'
import { ChangeLogWriter } from '../../../src/repository/change-log/writer.ts'
import { acquireLease } from '../../../src/repository/lease.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { initRepository } from '../../../src/repository/repository-lifecycle.ts'
import { createStore } from '../../../src/repository/store/open.ts'
import { joined, LOG_WORLD, logStart, segmentDraft, transactionAt } from '../../support/change-log.ts'

const why = whyNoRadosgw()
if (why !== null) process.stderr.write(`skipped: change logs on S3, because ${why}\n`)
const ROUNDS = 8

describe.skipIf(why !== null)('on radosgw', () => {
  let gateway: Radosgw
  beforeAll(async () => {
    gateway = await startRadosgw()
    await gateway.makeBucket('plain')
    await gateway.makeBucket('versioned', { versioned: true })
  }, 60_000)
  afterAll(async () => await gateway.stop())

  async function repositoryIn(bucket: string): Promise<Repository> {
    const settings = gateway.settings(`${bucket}/${randomBytes(4).toString('hex')}`)
    const secret = { kind: 'key-file', bytes: randomBytes(32) } as const
    return (await initRepository(await createStore(settings), settings, [secret], LOG_WORLD)).repository
  }

  /** Both append at once, round after round; whoever fails begins again from what is there. @returns failures, by code */
  async function race(repository: Repository, logId: string): Promise<string[]> {
    const codes: string[] = []
    const run = async (name: string) => {
      let writer = await ChangeLogWriter.resume(repository, logId)
      for (let round = 0; round < ROUNDS; round += 1) {
        const at = writer.head.end
        try {
          await writer.append(segmentDraft(at + 10n, { transactions: [transactionAt(at, 1, { mark: name })] }))
        } catch (error) {
          codes.push(error instanceof Failure ? error.code : String(error))
          writer = await ChangeLogWriter.resume(repository, logId)
        }
      }
    }
    await Promise.all([run('a'), run('b')])
    return codes
  }

  test('of two writers at once each segment has one, and the other is told', async () => {
    await using repository = await repositoryIn('plain')
    const { start } = await ChangeLogWriter.begin(repository, logStart(), LOG_WORLD)

    const codes = await race(repository, start.logId)

    expect(new Set(codes)).toEqual(new Set(['lease-lost']))
    const log = await openLog(repository, start.logId)
    expect(await joined(log.transactions())).toHaveLength(2 * ROUNDS - codes.length)
  })

  test('where conditions are ignored, what two writers did to each other is told to one of them, or to the reader', async () => {
    await using repository = await repositoryIn('versioned')
    expect(repository.store.capabilities.conditionalPut).toBe(false)
    const { start } = await ChangeLogWriter.begin(repository, logStart(), LOG_WORLD)

    const codes = await race(repository, start.logId)

    const log = await openLog(repository, start.logId)
    const kept = await joined(log.transactions()).catch((error) => error.code)
    // Each segment that was overwritten ends its writer at its next one; the last one of each has no next.
    const lost = kept === 'change-log-gap' ? 0 : 2 * ROUNDS - codes.length - kept.length
    expect(lost).toBeLessThanOrEqual(codes.length + 1)
    expect(codes.filter((code) => !['lease-lost', 'store-lied'].includes(code))).toEqual([])
  })

  test.each([
    'plain',
    'versioned',
  ])('in a bucket that is %s, a lease that several ask for is given to one', async (bucket) => {
    await using repository = await repositoryIn(bucket)
    const request = { name: 'capture-1', leaseMs: 2_000, nowMs: () => performance.timeOrigin + performance.now() }
    const asked = await Promise.allSettled(
      ['a', 'b', 'c'].map(async (holder) => {
        const lease = await acquireLease(repository, { ...request, holder })
        const until = performance.now() + 3_000
        while (performance.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, 400))
          await lease.renew()
        }
        return lease
      }),
    )
    const held = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    expect(held).toHaveLength(1)
    held[0]?.assertHeld()
    await held[0]?.release()
    expect((await acquireLease(repository, { ...request, holder: 'd' })).token).toBeGreaterThan(held[0]!.token)
  })
})
