/**
 * What we keep saying in review, as tests: which way imports go, what no file of ours holds, and that documents and
 * tables agree. Each failure names the file and the line.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { renderErrorDocument } from '../scripts/document-errors.ts'
import { failures } from '../src/errors.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const SOURCE_LINES_MAX = 350

/** The arrows of docs/DESIGN.md: what each folder of src/ may import. They go one way, so that a cycle cannot form. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  source: [],
  repository: [],
  intake: ['source', 'repository'],
  backup: ['intake', 'source', 'repository'],
  restore: ['intake', 'source', 'repository'],
  verify: ['restore', 'intake', 'source', 'repository'],
  service: ['verify', 'restore', 'backup', 'intake', 'source', 'repository'],
  api: ['service', 'verify', 'restore', 'backup', 'intake', 'source', 'repository'],
  cli: ['api', 'service', 'verify', 'restore', 'backup', 'intake', 'source', 'repository'],
}
/** These know nothing of configuration, arguments or environment: of src/ itself, only the error table is for them. */
const BELOW_CONFIGURATION = ['source', 'repository']

/** Entry points name the real clock, dice and environment; everything else gets them as arguments. */
const ENTRY_POINTS = [/^src\/cli\//, /^workers\//]
/** Where it is not so, and why. */
const CLOCK_EXCEPTIONS = [
  // The age of files on the store's own machine, which that machine's clock stamped.
  /^src\/repository\/store\/directory(-naming)?\.ts$/,
  // The pauses between tries that entry points use when they name none.
  /^src\/repository\/store\/retry\.ts$/,
]
const ENVIRONMENT_EXCEPTIONS = [
  // Makes the environment an argument.
  /^src\/world\.ts$/,
  // Runs a program of the machine, found as a shell would find it.
  /^src\/source\/postgres\/ddl-from-pg-dump\.ts$/,
]
const CLOCK_AND_DICE = /\b(Math\.random|Date\.now|performance\.now)\b|\bnew Date\(\)/

interface Import {
  readonly from: string
  readonly to: string
  readonly isTypeOnly: boolean
}

const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT })
  .toString()
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(ROOT, path)))
const typescript = tracked.filter((path) => path.endsWith('.ts'))
const product = typescript.filter((path) => /^(src|workers)\//.test(path))
const imports = product.flatMap(importsOf).filter(({ to }) => /^(src|workers)\//.test(to))

describe('imports', () => {
  it('go from folder to folder only where an arrow of the design points', () => {
    const wrong = imports.filter(isWrongWay)

    expect(wrong.map(shown)).toEqual([])
  })

  it('of folders are all under a rule', () => {
    const folders = new Set(product.map(folderOf).filter((folder) => folder !== 'src' && folder !== 'workers'))

    expect([...folders].filter((folder) => ARROWS[folder] === undefined)).toEqual([])
  })

  it('reach one kind of database through src/source/open.ts only', () => {
    const wrong = imports.filter(({ from, to }) => {
      const kind = /^src\/source\/(postgres|sqlserver)\//.exec(to)?.[0]
      return kind !== undefined && !from.startsWith(kind) && from !== 'src/source/open.ts'
    })

    expect(wrong.map(shown)).toEqual([])
  })

  it('leave the error table under everything', () => {
    expect(imports.filter(({ from }) => from === 'src/errors.ts').map(shown)).toEqual([])
  })

  it('keep configuration and secrets out of what lies below them', () => {
    const wrong = imports.filter(
      ({ from, to }) =>
        BELOW_CONFIGURATION.includes(folderOf(from)) && folderOf(to) === 'src' && to !== 'src/errors.ts',
    )

    expect(wrong.map(shown)).toEqual([])
  })

  it('of what lies in src/ itself take only shapes from the folders', () => {
    const wrong = imports.filter(
      ({ from, to, isTypeOnly }) => folderOf(from) === 'src' && folderOf(to) !== 'src' && !isTypeOnly,
    )

    expect(wrong.map(shown)).toEqual([])
  })
})

describe('no file of ours', () => {
  it('prints, but the commands', () => {
    expect(linesWith(/\bconsole\.|process\.std(out|err)\b/, 'src', [/^src\/cli\//])).toEqual([])
  })

  it('reads the clock or rolls dice, but entry points', () => {
    expect(linesWith(CLOCK_AND_DICE, 'src', [...ENTRY_POINTS, ...CLOCK_EXCEPTIONS])).toEqual([])
  })

  it('reads the environment, but entry points', () => {
    expect(linesWith(/\bprocess\.env\b/, 'src', [...ENTRY_POINTS, ...ENVIRONMENT_EXCEPTIONS])).toEqual([])
  })

  it('has an enum or a parameter property: Node runs the source as it is', () => {
    const notErasable =
      /^\s*(export )?(const )?enum \w|constructor\((?:[^)]*,)?\s*(private|public|protected|readonly) \w+\s*[?:]/

    expect(linesWith(notErasable, '')).toEqual([])
  })

  it('has a mark that postpones or silences something', () => {
    const marks = new RegExp(
      [
        '\\.(skip|only|todo)\\(',
        '@ts-(ignore|nocheck|expect-error)',
        'biome-' + 'ignore',
        '\\bas (any|never)\\b',
        'TO' + 'DO',
        'FIX' + 'ME',
      ].join('|'),
    )

    expect(linesWith(marks, '', [/^test\/habits\.test\.ts$/])).toEqual([])
  })

  it('names a directory of the machine it was written on, or the host of a package registry', () => {
    const places = new RegExp(
      ['work', 'root', 'tmp'].map((name) => `(^|[\\s'"\`(=:])/${name}/[A-Za-z0-9._-]`).join('|'),
    )
    const registries = /registry\.[a-z0-9-]+\.[a-z]{2,}|npm(js|mirror)\.(org|com)|"resolved": ?"http/
    const found = tracked
      .filter((path) => !/\.(bin|pack|png|gz|zst|wasm)$/.test(path) && path !== 'test/habits.test.ts')
      .flatMap((path) => matchingLines(path, (line) => places.test(line) || registries.test(line)))

    expect(found).toEqual([])
  })

  it(`of src/ is longer than ${SOURCE_LINES_MAX} lines: it would hold more than one idea`, () => {
    const long = product
      .map((path) => ({ path, lines: read(path).split('\n').length - 1 }))
      .filter(({ lines }) => lines > SOURCE_LINES_MAX)

    expect(long).toEqual([])
  })
})

describe('tests', () => {
  it('of one file have titles of their own, each within its describe', () => {
    const repeated = typescript
      .filter((path) => path.endsWith('.test.ts'))
      .flatMap((path) =>
        read(path)
          .split(/^describe\b/m)
          .flatMap(repeatedTitles)
          .map((title) => `${path}: ${title}`),
      )

    expect(repeated).toEqual([])
  })
})

describe('failures', () => {
  it('are documented as the table has them; otherwise run scripts/document-errors.ts', () => {
    expect(read('docs/errors.md')).toBe(renderErrorDocument())
  })

  it('have an exit status of their own each, which no shell uses for itself', () => {
    const statuses = Object.values(failures).map(({ exit }) => exit)

    expect(new Set(statuses).size).toBe(statuses.length)
    expect(statuses.filter((status) => status < 2 || status > 125)).toEqual([])
  })
})

function repeatedTitles(block: string): string[] {
  const found = block.matchAll(/^\s*(?:it|test)(?:\.each\([\s\S]*?\))?\(\s*(['"`])(.+?)\1,/gm)
  const titles = [...found].map(([, , title]) => title!)
  return titles.filter((title, index) => titles.indexOf(title) !== index)
}

function isWrongWay({ from, to }: Import): boolean {
  const [start, end] = [folderOf(from), folderOf(to)]
  if (start === 'workers') return !mayWorkerImport(from, to)
  if (end === start || end === 'src' || start === 'src') return false
  // Pools name their workers' messages.
  if (end === 'workers') return false
  return !(ARROWS[start] ?? []).includes(end)
}

/** A worker is the thread's entry to the file of its own name; of snapshots it knows nothing. */
function mayWorkerImport(worker: string, to: string): boolean {
  if (to === 'src/repository/manifest.ts') return false
  return ['source', 'repository', 'src', 'workers'].includes(folderOf(to)) || basename(to) === basename(worker)
}

function importsOf(path: string): Import[] {
  const statements = read(path).matchAll(/^(?:import|export)( type)?\s[^'"]*?\bfrom '(\.[^']+)'/gm)
  const calls = read(path).matchAll(/\bimport\(()'(\.[^']+)'\)/g)
  return [...statements, ...calls].map(([, type, target]) => ({
    from: path,
    to: normalize(join(dirname(path), target!)),
    isTypeOnly: type === ' type',
  }))
}

/** `src/backup/x.ts` → backup; `src/config.ts` → src; `workers/x.ts` → workers. */
function folderOf(path: string): string {
  const [top, next] = path.split('/')
  return top === 'src' && path.split('/').length > 2 ? next! : top!
}

function linesWith(pattern: RegExp, folder: string, allowed: readonly RegExp[] = []): string[] {
  return typescript
    .filter((path) => path.startsWith(folder) && !allowed.some((each) => each.test(path)))
    .flatMap((path) => matchingLines(path, (line) => pattern.test(line) && !/^\s*(\*|\/\/)/.test(line)))
}

function matchingLines(path: string, matches: (line: string) => boolean): string[] {
  return read(path)
    .split('\n')
    .flatMap((line, index) => (matches(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 100)}`] : []))
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function shown({ from, to }: Import): string {
  return `${from} imports ${to}`
}
