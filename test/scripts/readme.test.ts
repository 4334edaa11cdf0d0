/**
 * The READMEs are true: the first steps are run as they stand, on a server of ours in place of the hospital's; the
 * configuration is parsed; the tables of commands and exit statuses name what there is, all of it and nothing else.
 * What is to be run or parsed is marked in them by a comment above the block.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { glob, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { parseConfiguration } from '../../src/config.ts'
import { failures } from '../../src/errors.ts'
import { PASSWORD, ROLE, runCommand } from '../cli/cli-support.ts'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { wardSql } from '../support/ward.ts'

// Many processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
const HOSPITAL = 'postgres://chartkeep@db.hospital:5432/icu'
const DRILL = 'postgres://postgres@drill-1:5432/icu_restore'
const REPOSITORY = 'file:///srv/chartkeep'
const CHARTKEEP = 'npm run -s chartkeep --'

const run = promisify(execFile)

let server: PostgresServer
let sourceUrl: string

beforeAll(async () => {
  server = await startPostgres({ requirePasswords: true })
  sourceUrl = await server.createDatabase('icu')
  await runSql(sourceUrl, ...wardSql({ vitals: 300 }))
})

afterAll(() => server?.[Symbol.asyncDispose]())

describe.each(['README.md', 'README.zh-CN.md'])('%s', (file) => {
  let text: string
  let folder: string

  beforeAll(async () => {
    text = await readFile(join(CHECKOUT, file), 'utf8')
    folder = await mkdtemp(join(tmpdir(), 'chartkeep-readme-'))
  })

  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('takes a database from its first steps to a rebuilt one', async () => {
    const steps = block(text, 'run: first-steps').split('\n')
    const rebuilt = `icu_restore_${file.replaceAll(/\W/g, '_')}`
    const into = await server.createDatabase(rebuilt)
    expect(steps.length).toBe(5)

    for (const step of steps) {
      await runShell(step.replace(HOSPITAL, roleUrl()).replace(DRILL, into), folder)
      if (step.includes('setup.sql')) await playAdministrator(join(folder, 'setup.sql'))
      if (step.includes('chartkeep.yaml')) await putRepositoryInto(folder)
    }
    await using client = await connectClient(into)
    const { rows } = await client.query('SELECT count(*)::int AS vitals FROM vital_sign')

    expect(rows).toEqual([{ vitals: 300 }])
  })

  it('shows a configuration that can be read', () => {
    const configuration = parseConfiguration(block(text, 'parse: configuration'), { path: 'chartkeep.yaml' })

    expect(configuration.sources.map(({ name, url }) => [name, url])).toEqual([['icu', HOSPITAL]])
    expect(configuration.repository.url).toBe(REPOSITORY)
  })

  it('names every command there is, and no other', async () => {
    const { stdout } = await runCommand(['--help'], folder)
    const [, list = ''] = stdout.split(/^Commands:$/m)
    const there = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name!)
    const named = [...text.matchAll(/^\| `([a-z][a-z-]*)[^|]*` ?[^|]*\|/gm)].map(([, name]) => name!)

    expect(new Set(named)).toEqual(new Set(there.filter((name) => name !== 'help')))
  })

  it('has the exit status of every failure in a row of its table', () => {
    const rows = [...text.matchAll(/^\| (\d+)(?:(–|, |、)(\d+))? \|/gm)]
    const includes = (exit: number) =>
      rows.some(([, first, between, last]) =>
        between === '–' ? exit >= Number(first) && exit <= Number(last) : [first, last].includes(String(exit)),
      )

    const missing = Object.entries(failures).filter(([, { exit }]) => !includes(exit))
    expect(missing).toEqual([])
    expect(includes(0)).toBe(true)
  })

  it('names only variables that something reads', async () => {
    const source = await Promise.all(
      (await Array.fromAsync(glob('src/**/*.ts', { cwd: CHECKOUT }))).map((path) =>
        readFile(join(CHECKOUT, path), 'utf8'),
      ),
    )
    const named = new Set(text.match(/\b(CHARTKEEP|AWS|PG)[A-Z_]*[A-Z]\b/g))

    expect(named.size).toBeGreaterThan(5)
    expect([...named].filter((name) => !source.some((each) => each.includes(name)))).toEqual([])
  })

  it('leads to files that are there', () => {
    const links = [...text.matchAll(/\]\(([^)#]+)\)/g)].map(([, target]) => target!)

    expect(links.length).toBeGreaterThan(3)
    expect(links.filter((link) => !existsSync(join(CHECKOUT, link)))).toEqual([])
  })
})

describe('both READMEs', () => {
  it('show the same commands', async () => {
    const [english, chinese] = await Promise.all(
      ['README.md', 'README.zh-CN.md'].map(async (file) => await readFile(join(CHECKOUT, file), 'utf8')),
    )

    expect(commandsOf(chinese!)).toEqual(commandsOf(english!))
  })

  it('mean by chartkeep a script that npm runs on the machine\u2019s own Node', async () => {
    const { stdout } = await run('npm', ['run', '-s', 'chartkeep', '--', '--version'], { cwd: CHECKOUT })

    expect(stdout.trim()).toMatch(/^\d+\.\d+\.\d+$/)
  })
})

/** The block below the comment that marks it. */
function block(text: string, mark: string): string {
  const found = new RegExp(`<!-- ${mark} -->\\n\`\`\`\\w+\\n([^]*?)\\n\`\`\``).exec(text)
  expect(found, `a block marked ${mark}`).not.toBeNull()
  return found![1]!
}

function commandsOf(text: string): string[] {
  return (text.match(/^npm .*$/gm) ?? []).map((line) => line.replace(/\s+#.*$/, ''))
}

function roleUrl(): string {
  return `postgres://${ROLE}@127.0.0.1:${server.port}/icu`
}

/** A line as a shell reads it, `chartkeep` being the process that npm would start. */
async function runShell(line: string, folder: string): Promise<void> {
  expect(line).toContain(CHARTKEEP)
  const main = join(CHECKOUT, 'src/cli/main.ts')
  const command = line.replace(CHARTKEEP, `'${process.execPath}' --disable-warning=ExperimentalWarning '${main}'`)
  const env = { ...process.env, PGPASSWORD: PASSWORD, CHARTKEEP_PASSPHRASE: 'of the reader' }
  await run('/bin/sh', ['-e', '-c', command], { cwd: folder, env })
}

/** psql asks for the password at the script's last line. */
async function playAdministrator(script: string): Promise<void> {
  const sql = (await readFile(script, 'utf8')).replaceAll(/^\\.*$/gm, '')
  await runSql(sourceUrl, sql, `ALTER ROLE ${ROLE} PASSWORD '${PASSWORD}'`)
}

/** A directory that the reader of the draft has chosen. */
async function putRepositoryInto(folder: string): Promise<void> {
  const path = join(folder, 'chartkeep.yaml')
  const draft = await readFile(path, 'utf8')
  expect(draft).toContain(REPOSITORY)
  await writeFile(path, draft.replace(REPOSITORY, `file://${folder}/repository`))
}
