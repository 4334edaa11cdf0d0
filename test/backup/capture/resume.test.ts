/** Which history a log may go on with, and what begins a new one: the gap is declared, and nothing goes on in silence. */
import { describe, expect, it } from 'vitest'
import { listLogs } from '../../../src/repository/change-log/log-start.ts'
import { CaptureRig, FAST, until } from '../../support/capture-rig.ts'

/** A rig with a log of three transactions, whose session has ended. */
async function rigWithLog(): Promise<CaptureRig> {
  const rig = await CaptureRig.make()
  const session = rig.start()
  await until(() => session.events.some(({ kind }) => kind === 'connected'))
  for (const line of ['D1', 'D2', 'D3']) await rig.settled(rig.database.insert('public.drug', line))
  await session.stop()
  return rig
}

/** The reason that the second log of the rig gives for itself. */
async function breakReason(rig: CaptureRig): Promise<string | undefined> {
  const { logs } = await listLogs(rig.repository(), 'icu')
  expect(logs).toHaveLength(2)
  expect(logs[1]!.previousLog?.logId).toBe(logs[0]!.logId)
  return logs[1]!.previousLog?.reason
}

async function logsAfter(rig: CaptureRig, given?: string): Promise<number> {
  const session = rig.start(given === undefined ? {} : { breakReason: given })
  await until(() => session.events.some(({ kind }) => kind === 'connected'))
  await session.stop()
  return (await listLogs(rig.repository(), 'icu')).logs.length
}

describe('a change log begins anew', () => {
  it('when the slot was dropped', async () => {
    const rig = await rigWithLog()
    rig.database.slots.delete(rig.slot)

    expect(await logsAfter(rig)).toBe(2)
    expect(await breakReason(rig)).toContain('is gone')
  })

  it('when the slot was dropped and made again (F10)', async () => {
    const rig = await rigWithLog()
    rig.database.slots.delete(rig.slot)
    rig.database.insert('public.drug', 'never captured')
    await rig.database.source().changes.createSlot(rig.slot, { lockTimeoutMs: 1, signal: new AbortController().signal })

    expect(await logsAfter(rig)).toBe(2)
    expect(await breakReason(rig)).toMatch(/stands at .* and the log ends at/)
  })

  it('when the server gave the slot up', async () => {
    const rig = await rigWithLog()
    rig.database.slots.get(rig.slot)!.lost = true

    expect(await logsAfter(rig)).toBe(2)
    expect(await breakReason(rig)).toContain('was given up by the server')
  })

  it('when it is another database', async () => {
    const rig = await rigWithLog()
    rig.database.identity = { ...rig.database.identity, databaseOid: '99999' }

    expect(await logsAfter(rig)).toBe(2)
    expect(await breakReason(rig)).toBe('the source is another database')
  })

  it('when another server took over before our end (F10)', async () => {
    const rig = await rigWithLog()
    rig.database.identity = { ...rig.database.identity, timeline: 2 }
    rig.database.forks = [{ timeline: 1, forkLsn: rig.database.lsn - 50n }]

    expect(await logsAfter(rig)).toBe(2)
    expect(await breakReason(rig)).toContain('another server took over')
  })

  it('and not when it took over behind our end', async () => {
    const rig = await rigWithLog()
    rig.database.identity = { ...rig.database.identity, timeline: 2 }
    rig.database.forks = [{ timeline: 1, forkLsn: rig.database.lsn + 1n }]

    expect(await logsAfter(rig)).toBe(1)
  })

  it('and not at the next start either, when the log went on under the other server', async () => {
    const rig = await rigWithLog()
    rig.database.identity = { ...rig.database.identity, timeline: 2 }
    rig.database.forks = [{ timeline: 1, forkLsn: rig.database.lsn + 1n }]
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    await rig.settled(rig.database.insert('public.drug', 'behind the fork'))
    await session.stop()

    expect(await logsAfter(rig)).toBe(1)
    rig.database.identity = { ...rig.database.identity, timeline: 3 }
    rig.database.forks.push({ timeline: 2, forkLsn: rig.database.lsn - 50n })
    expect(await logsAfter(rig)).toBe(2)
    expect(await breakReason(rig)).toContain('another server took over')
  })

  it('when the database was put back to before the log’s end', async () => {
    const rig = await CaptureRig.make()
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    const earlier = rig.database.clone()
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    await first.stop()
    rig.database = earlier

    expect(await logsAfter(rig)).toBe(2)
    expect(await breakReason(rig)).toContain('before the log')
  })

  it('when the newest segment is lost or damaged, and not one of the chain', async () => {
    const rig = await rigWithLog()
    const { objects } = rig.simulated.store as unknown as { objects: Map<string, Uint8Array> }
    const newest = [...objects.keys()]
      .filter((key) => key.startsWith('segments/'))
      .sort()
      .at(-1)!
    objects.set(newest, Buffer.from('CKSEAL damaged'))

    expect(await logsAfter(rig)).toBe(2)
    expect(await breakReason(rig)).toContain('the newest segment is lost')
  })
})

describe('what the server sends again (P5)', () => {
  it('has to be what the log holds: a copied data directory is found out by its transactions alone', async () => {
    const rig = await CaptureRig.make()
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    const copy = rig.database.clone()
    await rig.settled(rig.database.insert('public.drug', 'of the original'))
    await first.stop()
    copy.insert('public.drug', 'of the copied')
    copy.insert('public.drug', 'later')
    rig.database = copy

    const second = rig.start()

    await expect(second.ended).rejects.toMatchObject({ code: 'history-differs' })
    await expect(second.ended).rejects.toThrow('other changes than our log')
    expect((await rig.loggedLines()).at(-1)).toBe('of the original')
    expect(await logsAfter(rig, 'the histories differ')).toBe(2)
    expect(await breakReason(rig)).toBe('the histories differ')
  })

  it('has to be there: a history without our last transaction is another one', async () => {
    const rig = await CaptureRig.make()
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    const copy = rig.database.clone()
    await rig.settled(rig.database.insert('public.drug', 'D2'))
    await first.stop()
    copy.advance(10_000n)
    copy.insert('public.drug', 'D3')
    rig.database = copy

    const second = rig.start()

    await expect(second.ended).rejects.toThrow('does not have the transaction')
  })

  it('may be more of a table that was taken into the stream since', async () => {
    const rig = await CaptureRig.make()
    rig.database.unpublished.add('public.patient')
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    const both = rig.database.commit(
      { kind: 'insert', table: 'public.drug', after: 'D1' },
      { kind: 'insert', table: 'public.patient', after: '7\tseven' },
    )
    await rig.settled(both)
    await first.stop()
    rig.database.unpublished.clear()

    const second = rig.start()
    await rig.settled(rig.database.insert('public.drug', 'D2'))
    await second.stop()

    expect(await rig.loggedLines()).toEqual(['D1', 'D2'])
  })

  it('is compared for large transactions too, which the log holds in parts', async () => {
    const rig = await CaptureRig.make()
    rig.settings = { ...FAST, segmentTextBytes: 100 }
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    const lines = Array.from({ length: 200 }, (_, n) => `D${n} with some text`)
    await rig.settled(rig.database.insert('public.drug', ...lines))
    await first.stop()

    const second = rig.start()
    await rig.settled(rig.database.insert('public.drug', 'after'))
    await second.stop()

    expect(await rig.loggedLines()).toEqual([...lines, 'after'])
  })
})
