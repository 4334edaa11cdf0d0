/**
 * Help that teaches: every command, wherever it stands, says what it does, shows examples that begin with its own name,
 * and lists its exit statuses as the error table has them. The whole text is under snapshot: run with `-u` after a
 * change that is meant.
 */
import { tmpdir } from 'node:os'
import type { Command, OutputConfiguration } from 'commander'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { Cli } from '../../src/cli/command.ts'
import { commandLine } from '../../src/cli/program.ts'
import { failures } from '../../src/errors.ts'
import { runCommand } from './cli-support.ts'

// A process waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

/** Help does nothing in its world. */
const idle: Cli = {
  terminal: { out: () => {}, err: () => {}, status: () => {} },
  world: {
    variables: {},
    homeDirectory: tmpdir(),
    userName: 'nobody',
    readTextFile: async () => null,
    fileMode: async () => null,
  },
  nowMs: () => 0,
  sleep: async () => {},
  signal: new AbortController().signal,
  setExitStatus: () => {},
  giveWay: () => {},
}

/** By command, for example `restore database`; the program's own under ''. */
const help = new Map<string, string>()

beforeAll(async () => {
  await collect([])
})

/** Commands that have commands of their own are asked for theirs. In this process: one for each takes half a minute. */
async function collect(path: readonly string[]): Promise<void> {
  const text = await helpOf(path)
  help.set(path.join(' '), text)
  for (const name of commandsIn(text)) await collect([...path, name])
}

async function helpOf(path: readonly string[]): Promise<string> {
  const program = await commandLine(idle, path)
  let printed = ''
  const output = {
    getOutHelpWidth: () => 80,
    writeOut: (text: string) => {
      printed += text
    },
  }
  configureAll(program, output)
  const ended = program.parseAsync([...path, '--help'], { from: 'user' })
  await expect(ended).rejects.toMatchObject({ code: 'commander.helpDisplayed', exitCode: 0 })
  return printed
}

function configureAll(command: Command, output: OutputConfiguration): void {
  command.configureOutput(output)
  for (const each of command.commands) configureAll(each, output)
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
  it.each([[''], ['restore database'], ['backup']])('is what the process prints: %s', async (name) => {
    const path = name.split(' ').filter(Boolean)

    expect(await runCommand([...path, '--help'], tmpdir())).toEqual({ status: 0, stdout: help.get(name), stderr: '' })
  })

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

  it('is pointed to by its own name when an option is not known, of a command within a group as well', async () => {
    for (const [name] of leaves()) {
      const path = name.split(' ')
      const program = await commandLine(idle, path)
      let printed = ''
      configureAll(program, {
        writeErr: (text) => {
          printed += text
        },
      })
      const ended = program.parseAsync([...path, '--no-such-option'], { from: 'user' })
      await expect(ended).rejects.toMatchObject({ code: expect.stringMatching(/^commander\./) })
      expect(printed).toContain(`\`chartkeep ${name} --help\``)
    }
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
