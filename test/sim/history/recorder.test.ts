/** The oracle judged by PostgreSQL itself, before it judges anybody: plain COPY in a snapshot amid a history. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import { oldestAndNewest } from '../../source/postgres/support.ts'
import { Dice } from './dice.ts'
import { Player } from './player.ts'
import { rewriteSql } from './recorder.ts'
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

  test('refuses to write down a table whose rows it may not all see', async () => {
    await using site = await makeHistorySite(server, 'refused')
    const other = new pg.Client(site.url)
    await other.connect()
    await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await other.query('SELECT count(*) FROM drug')
    await site.client.query(`INSERT INTO shape_a VALUES (1, 'not seen by the other')`)
    await other.query('LOCK TABLE shape_a IN ACCESS EXCLUSIVE MODE')

    await expect(other.query(rewriteSql('shape_a'))).rejects.toMatchObject({ code: '40001' })
    await other.end()
    expect(differences((await site.model()).rowsNow(), (await lookPlainly(site.url)).rows)).toEqual({})
  })
})
