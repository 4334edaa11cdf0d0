/** The oracle judged by PostgreSQL itself, before it judges anybody: plain COPY in a snapshot amid a history. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import { oldestAndNewest } from '../../source/postgres/support.ts'
import { Dice } from './dice.ts'
import { Player } from './player.ts'
import { differences, lookPlainly, makeHistorySite, type PlainLook, startHistoryServer } from './site.ts'

const SEED = Number(process.env.HISTORY_SEED ?? 20260301)
const TURNS = 400

describe.each(oldestAndNewest.map((version) => ({ version })))('the recorder, on $version', ({ version }) => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startHistoryServer(version)
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  test('knows the rows of every table in any snapshot taken amid a history, and at its end', async () => {
    await using site = await makeHistorySite(server, 'played')
    await using player = await Player.start({ url: site.url, dice: new Dice(SEED) })
    const looks: PlainLook[] = []

    for (let round = 0; round < 8; round += 1) {
      looks.push(await player.playDuring(lookPlainly(site.url), TURNS / 8))
    }
    await player.settle()
    looks.push(await lookPlainly(site.url))

    const model = await site.model()
    expect(looks.map(({ snapshot, rows }) => differences(model.rowsVisible(snapshot), rows))).toEqual(
      looks.map(() => ({})),
    )
    expect(differences(model.rowsNow(), looks.at(-1)!.rows)).toEqual({})
    expect(model.commits.length).toBeGreaterThan(TURNS / 20)
    expect(player.failed).toBeLessThan(player.statements / 3)
  })
})
