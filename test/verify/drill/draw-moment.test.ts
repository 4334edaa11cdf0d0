/** Where nothing was captured there are no moments between snapshots: a drill that is told none goes to a snapshot. */
import { describe, expect, it } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { drawMoment, hasLoggedSnapshot } from '../../../src/verify/drill/draw-moment.ts'
import type { DrillRequest } from '../../../src/verify/drill/drill-request.ts'
import { DRILL_SENTENCES } from '../../../src/verify/drill/sentences.ts'

const IDS = ['20260101T000000Z-01', '20260102T000000Z-02', '20260103T000000Z-03']

describe('a moment that nobody named', () => {
  it('is one of the snapshots, and the report says why', async () => {
    const drawn = await Promise.all([0, 1, 2, 3].map((number) => drawMoment(request(number, null))))

    expect(drawn.map(({ at }) => at)).toEqual([IDS[0], IDS[1], IDS[0], IDS[1]])
    expect(drawn.every(({ remarks }) => remarks.join() === DRILL_SENTENCES.noLog.en)).toBe(true)
  })

  it('is in the log where a snapshot stands in one', async () => {
    expect(await hasLoggedSnapshot(request(0, null))).toBe(false)
    expect(await hasLoggedSnapshot(request(0, { logId: 'x' }))).toBe(true)
  })

  it('is none where no snapshot of the source can be read', async () => {
    await expect(drawMoment({ ...request(0, null), sourceName: 'other' })).rejects.toMatchObject({
      code: 'snapshot-not-found',
    })
  })
})

/** The third snapshot cannot be read. */
function request(number: number, log: object | null): DrillRequest {
  const position = { sourceTime: '2026-01-01T00:00:00.000000Z' }
  const repository = {
    snapshotIds: async () => IDS,
    tryManifest: async (id: string) => {
      if (id === IDS[2]) return new Failure('repository-damaged', 'it cannot be read')
      return { manifest: { snapshotId: id, sourceName: 'icu', position, log } }
    },
  }
  const random = () => Buffer.from([number, 0, 0, 0, 0, 0, 0, 0])
  return { repository, sourceName: 'icu', random } as unknown as DrillRequest
}
