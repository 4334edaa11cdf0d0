/** docs/DESIGN.md names code and tests: each is there, under that name. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
const DOCUMENTS = ['docs/DESIGN.md', 'docs/TESTED.md']
const NUMBERED = [
  '0001-places-in-parents',
  '0002-keys-by-text',
  '0003-leaf-size',
  '0004-intake',
  '0005-agent-keys-in-repository',
  '0006-resume-by-adoption',
]
const decisions = NUMBERED.map((name) => `docs/decisions/${name}.md`)

describe('docs/DESIGN.md', () => {
  it('names tests by titles that stand in their files', async () => {
    const design = await read('docs/DESIGN.md')
    const named = [...design.matchAll(/`(test\/[\w/.-]+\.ts)`((?:,? "[^"]+")+)/g)].flatMap(([, file, titles]) =>
      [...titles!.matchAll(/"([^"]+)"/g)].map(([, title]) => ({ file: file!, title: title! })),
    )
    const missing = await Promise.all(
      named.map(async ({ file, title }) => ((await read(file)).includes(title) ? [] : [`${file}: ${title}`])),
    )

    expect(named.length).toBeGreaterThan(20)
    expect(missing.flat()).toEqual([])
  })

  it('has a row for each invariant, and says of each how it is held or that it is not built', async () => {
    const rows = [...(await read('docs/DESIGN.md')).matchAll(/^\| I(\d+) \|.*$/gm)]

    expect(rows.map(([, number]) => Number(number))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    for (const [row] of rows) expect(row).toMatch(/not built|`test\//)
  })
})

describe.each([...DOCUMENTS, ...decisions])('%s', (file) => {
  it('names files that are there', async () => {
    const text = await read(file)
    const paths = [...text.matchAll(/`((?:src|test|workers|scripts|docs)\/[\w/.-]+)`/g)].map(([, path]) => path!)
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target]) => join(dirname(file), target!))

    expect([...paths, ...links].filter((path) => !existsSync(join(CHECKOUT, path)))).toEqual([])
  })
})

async function read(path: string): Promise<string> {
  return await readFile(join(CHECKOUT, path), 'utf8')
}
