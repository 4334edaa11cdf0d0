/**
 * Help that teaches: every command, wherever it stands, says what it does, shows examples that begin with its own name,
 * and lists its exit statuses as the error table has them. The whole text is under snapshot: run with `-u` after a
 * change that is meant.
 */
import { tmpdir } from 'node:os'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { failures } from '../../src/errors.ts'
import { runCommand } from './cli-support.ts'

// Many processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

/** By command, for example `restore database`; the program's own under ''. */
const help = new Map<string, string>()

beforeAll(async () => {
  await collect([])
})

/** Commands that have commands of their own are asked for theirs. */
async function collect(path: readonly string[]): Promise<void> {
  const { status, stdout } = await runCommand([...path, '--help'], tmpdir())
  expect([path.join(' '), status]).toEqual([path.join(' '), 0])
  help.set(path.join(' '), stdout)
  const names = commandsIn(stdout)
  // Two at a time: a process each.
  for (let next = 0; next < names.length; next += 2) {
    await Promise.all(names.slice(next, next + 2).map((name) => collect([...path, name])))
  }
}

function commandsIn(text: string): string[] {
  const [, list = ''] = text.split(/^Commands:$/m)
  const names = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name!)
  return names.filter((name) => name !== 'help')
}

function leaves(): [string, string][] {
  return [...help].filter(([name, text]) => name !== '' && commandsIn(text).length === 0)
}

describe('the help of every command', () => {
  it('is what it was when somebody last read it', async () => {
    const whole = [...help]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, text]) => `$ chartkeep ${name}${name && ' '}--help\n${text}`)

    await expect(whole.join('\n')).toMatchFileSnapshot('help.txt')
  })

  it('shows an example of itself', () => {
    const without = leaves().filter(
      ([name, text]) => !text.includes(`chartkeep ${name}`.trimEnd(), text.indexOf('Examples:')),
    )

    expect(without.map(([name]) => name)).toEqual([])
  })

  it('lists exit statuses, each as the error table has it', () => {
    for (const [name, text] of leaves()) {
      const [, list = ''] = text.split('Exit status:')
      const listed = [...list.matchAll(/^ +(\d+) {2}([a-z-]+)$/gm)].map(([, exit, code]) => [code, Number(exit)])
      const known = listed.map(([code]) => [
        code,
        Object.entries(failures).find(([each]) => each === code)?.[1].exit ?? 0,
      ])

      expect([name, listed]).toEqual([name, known])
      expect(listed.length).toBeGreaterThan(2)
    }
  })

  it('names no option by which a secret could be given', () => {
    const secrets = /--(password|passphrase|secret|key)(?![a-z-])/

    expect(
      leaves()
        .filter(([, text]) => secrets.test(text))
        .map(([name]) => name),
    ).toEqual([])
  })
})
