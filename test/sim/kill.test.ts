/**
 * Kill -9: a backup and a restore in processes of their own are killed at planned points (doomed-process.ts). After
 * each kill every earlier snapshot is whole, and the next run needs nobody's help. The points are random: the seed is
 * printed, and KILL_SEED sets it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { proveRoots } from '../../src/intake/prove-roots.ts'
import { openSource } from '../../src/source/open.ts'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { type DoomedPlan, runDoomed } from '../support/doomed-process.ts'
import { readEverySnapshot } from '../support/read-back.ts'
import { makeRepository, never, TEST_SECRET, type TestRepository } from '../support/repository.ts'
import { wardLayout, wardSql } from '../support/ward.ts'

const KILLS = Number(process.env.KILLS ?? 2)
const seed = Number(process.env.KILL_SEED ?? Date.now() % 2 ** 31)
const TIMEOUT_MS = 60_000 * (2 + KILLS)
const PACK_BYTES = 8 * 1024
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

let server: PostgresServer
let made: TestRepository
let url: string

beforeAll(async () => {
  process.stdout.write(`kill points: KILL_SEED=${seed} KILLS=${KILLS}\n`)
  server = await startPostgres({})
  made = await makeRepository()
  url = await server.createDatabase('ward')
  await runSql(url, ...wardSql({ vitals: 6000 }))
  await using source = await openSource({ url })
  await made.snapshot(source, wardLayout, Date.UTC(2026, 0, 2))
})

afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

/** Numbers in [1, max], the same for one seed. */
function randomPoints(max: number, salt: number): number[] {
  return fc.sample(fc.integer({ min: 1, max }), { numRuns: KILLS, seed: seed + salt })
}

function plan(parts: Pick<DoomedPlan, 'work' | 'databaseUrl' | 'killAtPoint'> & Partial<DoomedPlan>): DoomedPlan {
  return { repositoryUrl: made.settings.url, packBytesTarget: PACK_BYTES, ...parts }
}

async function proveNewest(database: string): Promise<string[]> {
  await using repository = await made.open()
  const { manifest } = await repository.readManifest((await repository.snapshotIds()).at(-1)!)
  await using source = await openSource({ url: database })
  const proven = await proveRoots({ source, manifest, repository, pool: made.pool, signal: never() })
  return proven.filter((table) => !table.equal).map((table) => table.table)
}

describe('kill -9', () => {
  test(
    'at any call of a backup leaves every earlier snapshot whole, and the next backup heals',
    async () => {
      const clean = await runDoomed(plan({ work: 'backup', databaseUrl: url, killAtPoint: 0 }))
      expect(clean.points).toBeGreaterThan(20)

      for (const [round, killAtPoint] of randomPoints(clean.points!, 0).entries()) {
        await using repository = await made.open()
        const earlier = await readEverySnapshot(repository)
        await runSql(url, `UPDATE vital_sign SET value = value + 1`)

        const killed = await runDoomed(
          plan({ work: 'backup', databaseUrl: url, killAtPoint, whenApplied: round % 2 === 0 }),
        )

        // Every row was changed: this run makes no fewer calls than the first.
        expect(killed.signal).toBe('SIGKILL')
        const after = await readEverySnapshot(repository)
        for (const [id, lines] of earlier) expect(after.get(id)).toEqual(lines)
      }
      const healed = await runDoomed(plan({ work: 'backup', databaseUrl: url, killAtPoint: 0 }))

      expect(healed.points).not.toBeNull()
      expect(await proveNewest(url)).toEqual([])
      const repository = await made.open()
      const logged = (await repository.ledger.read()).entries.map(({ entry }) => entry.snapshot)
      expect(logged.toSorted()).toEqual(await repository.snapshotIds())
    },
    TIMEOUT_MS,
  )

  test(
    'at any step of a restore leaves a mark, and the next restore into the same database clears and succeeds',
    async () => {
      const target = await server.createDatabase('target')
      const restore = (killAtPoint: number) => runDoomed(plan({ work: 'restore', databaseUrl: target, killAtPoint }))
      const measured = await server.createDatabase('measured')
      const clean = await runDoomed(plan({ work: 'restore', databaseUrl: measured, killAtPoint: 0 }))
      expect(clean.points).toBeGreaterThan(6)

      for (const killAtPoint of randomPoints(clean.points!, 1)) {
        const killed = await restore(killAtPoint)

        expect([killed.signal, killed.output]).toEqual(['SIGKILL', ''])
        expect(await markOf(target)).toContain('unfinished restore')
      }
      const healed = await restore(0)

      expect(healed.output).toContain('points')
      expect(await markOf(target)).toBeNull()
      expect(await proveNewest(target)).toEqual([])
    },
    TIMEOUT_MS,
  )

  test(
    'of the command itself, in the midst of what it writes, leaves nothing that the next one minds',
    async () => {
      const earlier = await readEverySnapshot(made.repository)
      const config = await writeConfiguration()
      for (const event of randomPoints(10, 2)) {
        await runSql(url, `UPDATE vital_sign SET value = value + 1`)

        await killedCommand(['backup', '--config', config, '--json'], event)

        const after = await readEverySnapshot(made.repository)
        for (const [id, lines] of earlier) expect(after.get(id)).toEqual(lines)
      }
      const healed = await killedCommand(['backup', '--config', config, '--json'], Number.POSITIVE_INFINITY)

      expect(healed).toMatchObject({ status: 0, signal: null })
      expect(JSON.parse(healed.output.trim().split('\n').at(-1)!)).toMatchObject({
        type: 'snapshot',
        mode: 'full-read',
      })
      expect(await proveNewest(url)).toEqual([])
    },
    TIMEOUT_MS,
  )

  test('does not open the way into a database that somebody else uses', async () => {
    const used = await server.createDatabase('used')
    await runSql(used, 'CREATE TABLE mine (a integer)', 'INSERT INTO mine VALUES (1)')

    const refused = await runDoomed(plan({ work: 'restore', databaseUrl: used, killAtPoint: 0 }))

    expect(JSON.parse(refused.output)).toMatchObject({ code: 'target-not-empty' })
    expect(await markOf(used)).toBeNull()
    await using client = await connectClient(used)
    expect((await client.query('SELECT a FROM mine')).rows).toEqual([{ a: 1 }])
  })
})

async function writeConfiguration(): Promise<string> {
  const { patient, anchors, links } = wardLayout
  const linkTexts = links.map((link) => {
    return `${link.table}.${link.column} -> ${link.referencedTable}.${link.referencedColumn}`
  })
  const icu = { url, patient, anchors: Object.fromEntries(anchors), links: linkTexts }
  const path = join(made.directory, '+tmp', 'chartkeep.yaml')
  // JSON is YAML.
  await writeFile(path, JSON.stringify({ repository: made.settings, sources: { icu } }))
  return path
}

/** Killed when the folder in which the store writes its files has changed for the `event`th time. */
async function killedCommand(args: readonly string[], event: number) {
  const keyFile = join(made.directory, '+tmp', 'key')
  await writeFile(keyFile, TEST_SECRET.bytes)
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env: { ...process.env, CHARTKEEP_KEY_FILE: keyFile },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let events = 0
  const watcher = watch(join(made.directory, '+tmp'), () => {
    events += 1
    if (events === event) child.kill('SIGKILL')
  })
  const exited = once(child, 'exit')
  const output = await text(child.stdout)
  const [status, signal] = (await exited) as [number | null, NodeJS.Signals | null]
  watcher.close()
  return { status, signal, output }
}

async function markOf(database: string): Promise<string | null> {
  await using client = await connectClient(database)
  const { rows } = await client.query(
    `SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = current_database()`,
  )
  return rows[0].mark
}
