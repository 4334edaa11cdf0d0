import { expect, it } from 'vitest'
import { KeptSession } from '../../../src/source/postgres/stream/kept-session.ts'
import { describeOnServers, oldestAndNewest } from './support.ts'

describeOnServers('A question about an object that was dropped meanwhile', oldestAndNewest, (server) => {
  // What the server answers to such a question (XX000), without the race.
  const UNKNOWN = 'SELECT pg_describe_object(1, 1, 0)'

  it('is asked again, and answered', async () => {
    await using kept = new KeptSession({ url: await server().createDatabase('again') })
    let asked = 0
    const answer = kept.ask('asking', async (session) => {
      asked += 1
      return await session.query(asked < 4 ? UNKNOWN : 'SELECT 1::text AS one')
    })

    expect(await answer).toEqual([{ one: '1' }])
  })

  it('that the server never answers is a failure that accuses nothing else', async () => {
    await using kept = new KeptSession({ url: await server().createDatabase('never') })
    let asked = 0
    const answer = kept.ask('asking', async (session) => {
      asked += 1
      return await session.query(UNKNOWN)
    })

    await expect(answer).rejects.toMatchObject({
      code: 'source-failed',
      hints: [expect.stringContaining('within the server')],
    })
    expect(asked).toBe(4)
  })
})
