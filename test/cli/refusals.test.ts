/**
 * Bad input: each ends with its code, its exit status and a hint that says what to do, and nothing is changed by it,
 * neither in the repository nor in a database.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type FailureCode, failures } from '../../src/errors.ts'
import { connectClient, runSql } from '../source/postgres/support.ts'
import {
  BY_PASSPHRASE,
  type Ended,
  type Environment,
  lastObject,
  makeSiteWith,
  type Site,
  setUpRepository,
} from './cli-support.ts'

// Many processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

let site: Site
let objectsBefore: readonly string[]

beforeAll(async () => {
  site = await makeSiteWith(BY_PASSPHRASE)
  await setUpRepository(site)
  expect((await site.run(['backup'])).status).toBe(0)
})

afterAll(() => site?.[Symbol.asyncDispose]())

beforeEach(async () => {
  objectsBefore = await site.objects()
})

/** For people on stderr, with its code and its hint; and nothing new in the repository. */
async function expectRefused(ended: Ended, code: FailureCode, ...words: readonly string[]): Promise<void> {
  const [first, ...rest] = ended.stderr.trimEnd().split('\n')

  expect(first).toMatch(new RegExp(`^error ${code}: `))
  expect(ended.status).toBe(failures[code].exit)
  expect(ended.stdout).toBe('')
  // A misspelt word's hint stands in the message, beside the line it is on.
  if (!first?.includes('did you mean')) expect(rest.length).toBeGreaterThan(0)
  for (const hint of rest) expect(hint).toMatch(/^hint: /)
  for (const word of words) expect(ended.stderr).toContain(word)
  expect(await site.objects()).toEqual(objectsBefore)
}

async function withYaml(change: (yaml: string) => string, args: readonly string[], environment: Environment = {}) {
  const yaml = await readFile(join(site.folder, 'chartkeep.yaml'), 'utf8')
  await site.writeFile('changed.yaml', change(yaml))
  return await site.run([...args, '--config', 'changed.yaml'], environment)
}

describe('a source', () => {
  it('that does not answer is refused by its address', async () => {
    const ended = await withYaml((yaml) => yaml.replace(`:${site.server.port}/`, ':1/'), ['backup'])

    await expectRefused(ended, 'source-unreachable', '127.0.0.1:1')
  })

  it('of another name is refused', async () => {
    const ended = await site.run(['discover', site.url.replace('/icu', '/icv')])

    await expectRefused(ended, 'source-not-found', 'icv')
  })

  it('that refuses the password says where passwords come from', async () => {
    const ended = await site.run(['backup'], { PGPASSWORD: 'another' })

    await expectRefused(ended, 'source-login-refused', 'PGPASSWORD')
  })

  it('with a table that may not be read is refused by the name of the table', async () => {
    const role = 'CREATE ROLE half LOGIN BYPASSRLS'
    await runSql(
      site.adminUrl,
      `${role} PASSWORD 'half'`,
      'GRANT SELECT ON ALL TABLES IN SCHEMA public TO half',
      'REVOKE SELECT ON vital_sign FROM half',
    )
    const ended = await withYaml((yaml) => yaml.replace('//chartkeep@', '//half@'), ['backup'], { PGPASSWORD: 'half' })

    await expectRefused(ended, 'missing-rights', 'public.vital_sign', 'chartkeep setup-sql')
  })

  it('that would hide rows is refused, and not backed up by half', async () => {
    await runSql(
      site.adminUrl,
      'ALTER TABLE diagnosis ENABLE ROW LEVEL SECURITY',
      'CREATE POLICY first_lines ON diagnosis USING (line < 50)',
      'ALTER ROLE chartkeep NOBYPASSRLS',
    )
    const ended = await site.run(['backup'])
    await runSql(
      site.adminUrl,
      'ALTER ROLE chartkeep BYPASSRLS',
      'DROP POLICY first_lines ON diagnosis',
      'ALTER TABLE diagnosis DISABLE ROW LEVEL SECURITY',
    )

    await expectRefused(ended, 'rows-hidden', 'public.diagnosis', 'BYPASSRLS')
  })
})

describe('a configuration', () => {
  it('with a misspelt key is refused with the line and the key that was meant', async () => {
    const ended = await withYaml((yaml) => yaml.replace('    anchors:', '    anchor:'), ['backup'])
    const changed = (await readFile(join(site.folder, 'changed.yaml'), 'utf8')).split('\n')

    await expectRefused(
      ended,
      'bad-configuration',
      `line ${changed.indexOf('    anchor:') + 1}`,
      'did you mean anchors?',
    )
  })

  it('that is not there is refused by its name', async () => {
    const ended = await site.run(['backup', '--config', 'none.yaml'])

    await expectRefused(ended, 'bad-configuration', 'none.yaml', 'chartkeep discover')
  })

  it('with a password in an address is refused, and the password not shown', async () => {
    const ended = await withYaml((yaml) => yaml.replace('//chartkeep@', '//chartkeep:hunter2@'), ['backup'])

    await expectRefused(ended, 'bad-configuration', 'holds a password')
    expect(ended.stderr).not.toContain('hunter2')
  })
})

describe('a repository', () => {
  it('is not opened by another passphrase', async () => {
    const ended = await site.run(['backup'], { CHARTKEEP_PASSPHRASE: 'another' })

    await expectRefused(ended, 'wrong-key')
  })

  it('is not opened without a secret, and the hint names where to give one', async () => {
    const ended = await site.run(['snapshots'], { CHARTKEEP_PASSPHRASE: undefined })

    await expectRefused(ended, 'missing-secret', 'CHARTKEEP_PASSPHRASE')
  })

  it('is not opened by two secrets of which one must be a guess', async () => {
    const ended = await site.run(['snapshots'], { CHARTKEEP_KEY_FILE: 'key' })

    await expectRefused(ended, 'bad-usage', 'CHARTKEEP_PASSPHRASE and CHARTKEEP_KEY_FILE')
  })

  it('of a later format is left alone', async () => {
    const path = join(site.repository, 'config')
    const written = await readFile(path, 'utf8')
    await writeFile(path, written.replace('"format":1', '"format":2'))
    const ended = await site.run(['backup'])
    await writeFile(path, written)

    expect(written).toContain('"format":1')
    await expectRefused(ended, 'repository-format', 'format 2')
  })

  it('that is not there is refused, with the command that makes one', async () => {
    const moved = `${site.repository}-moved`
    await rename(site.repository, moved)
    const ended = await site.run(['backup'])
    await rename(moved, site.repository)

    await expectRefused(ended, 'repository-not-found', 'chartkeep init')
  })

  it('that is there already is not made again', async () => {
    const ended = await site.run(['init', '--recovery-sheet', 'second-sheet.txt'])

    await expectRefused(ended, 'repository-exists')
    await expect(readFile(join(site.folder, 'second-sheet.txt'))).rejects.toThrow('ENOENT')
  })
})

describe('a target', () => {
  it('that is not empty is refused and stays as it is', async () => {
    const into = await site.server.createDatabase('occupied')
    await runSql(into, 'CREATE TABLE thesis (page text)', `INSERT INTO thesis VALUES ('mine')`)
    const ended = await site.run(['restore', 'database', '--into', into])
    await using client = await connectClient(into)
    const { rows } = await client.query('SELECT page FROM thesis')

    expect(ended.status).toBe(failures['target-not-empty'].exit)
    expect(ended.stderr).toMatch(/^error target-not-empty: .*thesis/)
    expect(ended.stderr).toContain('hint: ')
    expect(rows).toEqual([{ page: 'mine' }])
  })

  it('that is the source is refused, by whatever name it is called', async () => {
    const into = site.adminUrl.replace('127.0.0.1', 'localhost')
    const ended = await site.run(['restore', 'database', '--into', into, '--json'])
    await using client = await connectClient(site.adminUrl)
    const { rows } = await client.query('SELECT count(*)::int AS patients FROM patient')

    expect(ended.status).toBe(failures['target-is-source'].exit)
    expect(lastObject(ended.stderr)).toMatchObject({ type: 'error', code: 'target-is-source', exit: 51 })
    expect(rows).toEqual([{ patients: 12 }])
  })

  it('is not touched by a dry run', async () => {
    const into = await site.server.createDatabase('dry')
    const ended = await site.run(['restore', 'database', '--into', into, '--dry-run'])
    await using client = await connectClient(into)
    const { rows } = await client.query(`SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace`)

    expect(ended.status).toBe(0)
    expect(ended.stdout).toContain('Nothing was changed.')
    expect(rows).toEqual([])
  })
})

describe('a command line', () => {
  it.each([
    { args: ['backup', '--sauce', 'icu'], word: 'unknown option' },
    { args: ['bakup'], word: 'unknown command' },
    { args: ['restore', 'database'], word: '--into' },
  ])('that does not exist is refused with exit status 2: $args', async ({ args, word }) => {
    const ended = await site.run(args)

    expect([ended.status, ended.stdout]).toEqual([2, ''])
    expect(ended.stderr).toContain(word)
    expect(ended.stderr).toContain('--help')
  })

  it('that names a snapshot or a time that is not there is refused, with the command that lists them', async () => {
    const into = await site.server.createDatabase('never')
    const early = await site.run(['restore', 'database', '--at', '2001-01-01T00:00:00Z', '--into', into])
    const unclear = await site.run(['restore', 'database', '--at', 'yesterday', '--into', into])

    await expectRefused(early, 'snapshot-not-found', 'chartkeep snapshots')
    await expectRefused(unclear, 'bad-usage', 'chartkeep snapshots')
  })
})
