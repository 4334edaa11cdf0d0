/** One connection of capture: what it keeps, what it confirms, and what it does not believe. Over a fake database. */
import { describe, expect, it } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { CaptureRig, FAST, until } from '../../support/capture-rig.ts'

describe('a session of capture', () => {
  it('keeps what is committed, in order, and goes on where it ended', async () => {
    const rig = await CaptureRig.make()
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    await rig.settled(rig.database.insert('public.drug', 'D1', 'D2'))
    rig.database.insert('public.drug', 'D3')
    expect(await first.stop()).toBe('stopped')

    rig.database.insert('public.drug', 'D4')
    const second = rig.start()
    await rig.settled(rig.database.lsn)
    await second.stop()

    expect(await rig.loggedLines()).toEqual(['D1', 'D2', 'D3', 'D4'])
    expect(second.events.some(({ kind }) => kind === 'log-begun')).toBe(false)
  })

  it('confirms nothing that is not durable, and never the last transaction (I5, F12)', async () => {
    const rig = await CaptureRig.make()
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    const commits: bigint[] = []
    for (let n = 0; n < 20; n += 1) {
      commits.push(rig.database.insert('public.drug', `D${n}`))
      if (n % 5 === 0) await rig.settled(rig.database.lsn)
      const end = await (await rig.newestLog()).end()
      for (const lsn of rig.database.confirmations) expect(lsn).toBeLessThanOrEqual(end)
    }
    await session.stop()

    expect(rig.database.confirmations.at(-1)).toBe(commits.at(-1)! - 1n)
  })

  it('seals at once when somebody asks', async () => {
    const rig = await CaptureRig.make()
    rig.settings = { ...FAST, sealMs: 60_000, progressMs: 60_000 }
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    rig.database.insert('public.drug', 'D1')

    await rig.settled(rig.database.requestSeal())

    expect(await rig.loggedLines()).toEqual(['D1'])
    await session.stop()
  })

  it('asks for a sign of life, so that an idle slot moves (P12)', async () => {
    const rig = await CaptureRig.make()
    rig.settings = { ...FAST, heartbeatMs: 10, progressMs: 60_000 }
    const session = rig.start()
    await until(() => session.events.filter(({ kind }) => kind === 'sealed').length >= 3)
    await session.stop()

    expect(rig.database.slots.get(rig.slot)!.confirmed).toBeGreaterThan((await rig.newestLog()).start.startLsn)
  })

  it('lets the slot go on where only others write', async () => {
    const rig = await CaptureRig.make()
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    const lsn = rig.database.insert('public.drug', 'D1')
    await rig.settled(lsn)
    expect(rig.database.confirmations.at(-1)).toBe(lsn - 1n)

    rig.database.advance(64n * 1024n * 1024n)

    await until(() => rig.database.confirmations.at(-1)! > lsn)
    await session.stop()
  })

  it('sends a large transaction out in parts, of which a reader makes one', async () => {
    const rig = await CaptureRig.make()
    rig.settings = { ...FAST, segmentTextBytes: 100 }
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    const lines = Array.from({ length: 300 }, (_, n) => `D${n} with some text`)
    rig.database.insert('public.drug', 'before')
    rig.database.insert('public.drug', ...lines)
    await rig.settled(rig.database.insert('public.drug', 'after'))
    await session.stop()

    expect(await rig.loggedLines()).toEqual(['before', ...lines, 'after'])
    const { header } = (await (await rig.newestLog()).head())!
    expect(header.number).toBeGreaterThan(10)
  })

  it('that dies in the midst of a large transaction leaves no part of it to be seen (F11)', async () => {
    const rig = await CaptureRig.make()
    rig.settings = { ...FAST, segmentTextBytes: 100 }
    const lines = Array.from({ length: 1000 }, (_, n) => `D${n} with some text`)
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    rig.database.insert('public.drug', 'before')
    rig.database.insert('public.drug', ...lines)
    await until(() => first.events.filter(({ kind }) => kind === 'sealed').length >= 5)
    await first.kill()
    expect((await rig.loggedLines()).filter((line) => line !== 'before')).toEqual([])

    const second = rig.start()
    await rig.settled(rig.database.lsn)
    await second.stop()

    expect(await rig.loggedLines()).toEqual(['before', ...lines])
  })

  it('keeps a table closed from where its definition changed (P2), and begins the stream again', async () => {
    const rig = await CaptureRig.make()
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    const before = await (await rig.newestLog()).end()
    rig.database.redefine('public.drug')
    rig.database.insert('public.drug', 'D2')

    expect(await session.ended).toBe('tables-changed')

    const [closed] = await (await rig.newestLog()).closedTables()
    expect(closed).toMatchObject({ table: 'public.drug', from: before })
    const next = rig.start()
    await rig.settled(rig.database.insert('public.drug', 'D3'))
    await next.stop()
    expect(await rig.loggedLines()).toEqual(['D1', 'D2', 'D3'])
  })

  it('closes what was redefined while nobody captured (F9)', async () => {
    const rig = await CaptureRig.make()
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    await first.stop()
    rig.database.redefine('public.patient')
    rig.database.insert('public.drug', 'D2')

    const second = rig.start()
    expect(await second.ended).toBe('tables-changed')

    expect(await (await rig.newestLog()).closedTables()).toMatchObject([{ table: 'public.patient' }])
  })

  it('names a table that is taken into the stream, or out of it, as closed', async () => {
    const rig = await CaptureRig.make()
    rig.database.unpublished.add('public.patient')
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    await first.stop()
    rig.database.unpublished.delete('public.patient')

    const second = rig.start()
    await until(async () => (await (await rig.newestLog()).closedTables()).length > 0)
    await second.stop()
    rig.database.unpublished.add('public.drug')
    const third = rig.start()
    expect(await third.ended).toBe('tables-changed')

    expect(await (await rig.newestLog()).closedTables()).toMatchObject([
      { table: 'public.patient' },
      { table: 'public.drug' },
    ])
  })

  it('looks again which tables it can follow when the catalog changed', async () => {
    const rig = await CaptureRig.make()
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    rig.database.tables['public.bed'] = { columns: ['bed'], primaryKey: ['bed'], lines: [] }
    rig.database.insert('public.drug', 'D1')

    expect(await session.ended).toBe('tables-changed')
  })

  it('ends when the lease is gone, and puts nothing more (F18)', async () => {
    const rig = await CaptureRig.make()
    const first = rig.start({ token: 2 })
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    await first.stop()

    const late = rig.start({ token: 1 })
    rig.database.insert('public.drug', 'D2')

    await expect(late.ended).rejects.toMatchObject({ code: 'lease-lost' })
    expect(await rig.loggedLines()).toEqual(['D1'])
  })

  it('does not claim with an empty segment what could not be kept while it was stopped (I4)', async () => {
    const rig = await CaptureRig.make()
    rig.settings = { ...FAST, segmentTextBytes: 1 }
    const failing = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    let isArmed = false
    const { store } = rig.simulated
    const put = store.put.bind(store)
    store.put = async (key, bytes) => {
      if (!isArmed || !key.startsWith('segments/')) return await put(key, bytes)
      isArmed = false
      failing.resolve()
      await go.promise
      throw new Failure('store-unreachable', 'planned')
    }
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    isArmed = true
    const lost = rig.database.insert('public.drug', 'D2')
    await failing.promise
    const stopped = session.stop()
    go.resolve()

    await expect(stopped).rejects.toMatchObject({ code: 'store-unreachable' })
    expect(await (await rig.newestLog()).end()).toBeLessThan(lost)

    const next = rig.start()
    await rig.settled(rig.database.lsn)
    await next.stop()
    expect(await rig.loggedLines()).toEqual(['D1', 'D2'])
  })

  it('is refused by a stream that stands still though a sign of life was asked for (F31)', async () => {
    const rig = await CaptureRig.make()
    rig.settings = { ...FAST, heartbeatMs: 10, stallMs: 50 }
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    rig.database.isMute = true

    await expect(session.ended).rejects.toMatchObject({ code: 'source-unreachable' })
    await expect(session.ended).rejects.toBeInstanceOf(Failure)
  })
})
