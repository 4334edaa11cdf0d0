/**
 * The ward program: it changes everything that a hospital changes, breaks no rule whatever it meets, and goes on when
 * the ward is empty, the server away or a row refused.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { referenceConfiguration } from '../../scripts/reference/configuration.ts'
import { createReferenceDatabase } from '../../scripts/reference/create.ts'
import { END_OF_DATA } from '../../scripts/reference/moment.ts'
import { Random } from '../../scripts/reference/random.ts'
import { startWard } from '../../scripts/reference/ward.ts'
import { chooseAction, wardActions } from '../../scripts/reference/ward-choice.ts'
import { stayActions } from '../../scripts/reference/ward-stays.ts'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { brokenRules, connect, digests, one } from './reference-queries.ts'

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
const AS_FAST_AS_CAN = Number.POSITIVE_INFINITY
const TEMPLATE = 'template_ward'
const oneOfEach: ReadonlyMap<string, readonly number[]> = new Map([['ICU1', [1001]]])

let server: PostgresServer
let made = 0

beforeAll(async () => {
  server = await startPostgres()
  await createReferenceDatabase({ url: await server.createDatabase(TEMPLATE), rows: 20_000, seed: 5 })
})

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

/** A reference database of its own for each test. */
async function freshDatabase(): Promise<string> {
  const name = `ward_${++made}`
  await execute(server.url(), `create database ${name} template ${TEMPLATE}`)
  return server.url(name)
}

async function execute(url: string, sql: string): Promise<void> {
  const client = await connect(url)
  await client.query(sql).finally(() => client.end())
}

describe('the ward', () => {
  it('changes every category over eight connections, without an error and without breaking a rule', async () => {
    const url = await freshDatabase()
    const before = await digests(url)

    const ward = await startWard({
      url,
      seed: 11,
      actionsPerSecond: AS_FAST_AS_CAN,
      deletionShare: 0.1,
      connections: 8,
      actionsMax: 2000,
    })
    const report = await ward.finished

    const after = await digests(url)
    const untouched = Object.entries(referenceConfiguration().categories)
      .filter(([, tables]) => tables.every((table) => Reflect.get(before, table) === Reflect.get(after, table)))
      .map(([category]) => category)
    expect(untouched).toEqual([])
    expect(report.errors).toEqual({})
    // On a loaded machine more of them wait for each other in vain.
    expect(report.actions).toBeGreaterThan(1000)
    expect(await brokenRules(url)).toEqual({})
    // Every action found its work at least once.
    expect(Object.keys(report.done).sort()).toEqual(Object.keys(wardActions).sort())
  })

  it('deletes nothing when told so, and nothing but deletes when told that', async () => {
    const count = (names: string[]) => names.filter((name) => name.startsWith('delete-')).length
    const named = (share: number) =>
      Array.from({ length: 500 }, (_, turn) => chooseAction(new Random(3, 'ward', turn), share))

    expect([count(named(0)), count(named(1))]).toEqual([0, 500])
    expect(count(named(0.2))).toBeGreaterThan(60)
    expect(count(named(0.2))).toBeLessThan(140)
  })

  it('does the same to equal databases with the same seed, over one connection', async () => {
    const [first, second, other] = [await freshDatabase(), await freshDatabase(), await freshDatabase()]
    const play = async (url: string, seed: number) => {
      const ward = await startWard({ url, seed, actionsPerSecond: AS_FAST_AS_CAN, connections: 1, actionsMax: 300 })
      const report = await ward.finished
      return { done: report.done, idle: report.idle, errors: report.errors }
    }

    const reports = [await play(first, 21), await play(second, 21), await play(other, 22)]

    expect(reports[1]).toEqual(reports[0])
    expect(reports[2]).not.toEqual(reports[0])
    // The trigger of clinical_document writes the server's own clock.
    const { 'public.clinical_document': _one, ...firstRows } = await digests(first)
    const { 'public.clinical_document': _two, ...secondRows } = await digests(second)
    expect(secondRows).toEqual(firstRows)
  })

  it('never puts two patients into one bed, with eight desks that want the same few beds', async () => {
    const url = await freshDatabase()
    const floor = { seed: 1, nurses: oneOfEach, doctors: oneOfEach, courses: new Map() }
    const kinds = ['admit-patient', 'discharge-patient', 'move-bed'] as const
    const errors: unknown[] = []
    let turns = 0
    const playDesk = async (): Promise<void> => {
      const client = await connect(url)
      while (turns < 1800) {
        const turn = turns++
        const action = stayActions[kinds[turn % kinds.length] as (typeof kinds)[number]]
        const now = END_OF_DATA + turn * 15
        await client.query('begin')
        await action({ client, random: new Random(71, turn), now, floor }).then(
          () => client.query('commit'),
          (error: unknown) => {
            errors.push(error)
            return client.query('rollback')
          },
        )
      }
      await client.end()
    }

    await Promise.all(Array.from({ length: 8 }, playDesk))

    // A race: without the second look at the bed, two runs of three end here with 23505.
    expect(errors).toEqual([])
    expect(await brokenRules(url)).toEqual({})
  })

  it('goes on in an empty ward, and admits as soon as there is a bed', async () => {
    const url = await freshDatabase()
    await execute(url, `update public.bed set in_use = false`)
    await execute(
      url,
      `update public.icu_stay set out_at = '2026-11-02 10:00+08', outcome = '转出' where out_at is null`,
    )
    const options = { url, actionsPerSecond: AS_FAST_AS_CAN, connections: 2, actionsMax: 400 }

    const empty = await (await startWard({ ...options, seed: 31 })).finished
    await execute(url, `update public.bed set in_use = true`)
    const again = await (await startWard({ ...options, seed: 32 })).finished

    expect(empty.errors).toEqual({})
    expect(Object.keys(empty.done).sort()).toEqual(['recompute-quality', 'update-dictionary'])
    expect(empty.idle['chart-vitals']).toBeGreaterThan(50)
    expect(again.errors).toEqual({})
    expect(again.done['admit-patient']).toBeGreaterThan(0)
    expect(again.done['chart-vitals']).toBeGreaterThan(0)
  })

  it('counts refused rows by SQLSTATE, and says nothing of what was in them (F42)', async () => {
    const url = await freshDatabase()
    await execute(url, `alter table public.nursing_record add constraint refused check (shift = 'never') not valid`)

    const ward = await startWard({ url, seed: 41, actionsPerSecond: AS_FAST_AS_CAN, actionsMax: 300 })
    const report = await ward.finished

    expect(Object.keys(report.errors)).toEqual(['23514'])
    expect(report.errors['23514']).toBeGreaterThan(5)
    expect(report.done['chart-vitals']).toBeGreaterThan(20)
    expect(JSON.stringify(report)).not.toMatch(/[一-龥]|ZY\d|never/)
  })

  it('reports a server that went away, and works again when it is back', async () => {
    await using own = await startPostgres()
    const url = await own.createDatabase('icu')
    await createReferenceDatabase({ url, rows: 5000, seed: 5 })
    const charted = async (): Promise<number> => {
      const client = await connect(url)
      const { count } = await one<{ count: number }>(client, 'select count(*)::int as count from public.vital_sign')
      await client.end()
      return count
    }
    const before = await charted()

    const ward = await startWard({ url, seed: 51, actionsPerSecond: 200, connections: 2 })
    await vi.waitFor(async () => expect(await charted()).toBeGreaterThan(before), { timeout: 20_000 })
    await own.stop()
    await own.start()
    const atReturn = await charted()
    await vi.waitFor(async () => expect(await charted()).toBeGreaterThan(atReturn), { timeout: 20_000 })
    const report = await ward.stop()

    expect(Object.keys(report.errors).length).toBeGreaterThan(0)
    expect(Object.keys(report.errors).filter((code) => !['57P01', '57P03', 'connection'].includes(code))).toEqual([])
    expect(await brokenRules(url)).toEqual({})
  })

  it('keeps to its rate', async () => {
    const url = await freshDatabase()

    const ward = await startWard({ url, seed: 61, actionsPerSecond: 100, connections: 3, actionsMax: 60 })
    const { seconds } = await ward.finished

    // Turn 59 is due after 0.59 s, and never before.
    expect(seconds).toBeGreaterThan(0.58)
  })

  it('names a database that cannot be reached, and one that is no ward', async () => {
    const other = await server.createDatabase('no_ward')

    await expect(startWard({ url: 'postgres://postgres@127.0.0.1:1/icu' })).rejects.toMatchObject({
      code: 'source-unreachable',
    })
    await expect(startWard({ url: other })).rejects.toMatchObject({
      code: 'source-failed',
      message: expect.stringContaining('42P01'),
    })
  })
})

describe('the command', () => {
  it('plays for the time given and prints one report', async () => {
    const url = await freshDatabase()
    const given = ['scripts/ward.ts', '--url', url, '--rate', '200/s', '--seconds', '1', '--deletions', '0.1']

    const { stdout } = await promisify(execFile)(process.execPath, given, { cwd: CHECKOUT })

    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ errors: {}, actions: expect.any(Number) })
    expect(report.actions).toBeGreaterThan(20)
  })
})
