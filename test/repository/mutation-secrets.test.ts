/** What opens a repository: each secret by itself, whatever became of the wrappers of the others; and sheets with slips. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { Failure } from '../../src/errors.ts'
import type { UnlockSecret } from '../../src/repository/crypto/key-wrapper.ts'
import { parseRecoverySecret } from '../../src/repository/crypto/recovery-sheet.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { GOLDEN, goldenSecrets } from '../support/golden.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { loadPatterns, type Patterns } from '../support/mutations.ts'

let patterns: Patterns
beforeAll(async () => {
  patterns = await loadPatterns()
})

async function opens(store: MemoryStore, secret: UnlockSecret): Promise<string> {
  const open = openRepository(store, { url: store.url }, secret)
  return await open.then(
    () => 'opened',
    (error) => (error instanceof Failure ? error.code : `${error}`),
  )
}

/** The golden repository with a wrapper replaced. */
function withWrapper(kind: string, change: (wrapper: Record<string, unknown>) => Uint8Array): MemoryStore {
  const store = new MemoryStore()
  for (const [name, bytes] of patterns.golden) {
    const isIt = name.startsWith('keys/') && JSON.parse(Buffer.from(bytes).toString('utf8')).kind === kind
    store.objects.set(name, isIt ? change(JSON.parse(Buffer.from(bytes).toString('utf8'))) : bytes)
  }
  return store
}

describe('a repository', () => {
  test.each([
    'passphrase',
    'key-file',
    'recovery-sheet',
  ])('opens by every other secret when the wrapper of its %s is damaged, and says so by that one', async (kind) => {
    const store = withWrapper(kind, () => Buffer.from('no wrapper'))
    const { keyFile, passphrase, recoverySheet } = await goldenSecrets()
    for (const secret of [keyFile, passphrase, recoverySheet]) {
      expect(await opens(store, secret), secret.kind).toBe(secret.kind === kind ? 'repository-damaged' : 'opened')
    }
  })

  test.each([
    ['no power of two', { N: 131_071 }],
    ['too much memory', { N: 2 ** 30 }],
    ['too much time', { p: 1_000_000 }],
    ['nothing at all', { N: 1 }],
  ])('does not derive a key by a wrapper that asks for %s', async (_, kdf) => {
    const store = withWrapper('passphrase', (wrapper) => {
      const changed = { ...wrapper, kdf: { ...(wrapper.kdf as object), ...kdf } }
      return Buffer.from(JSON.stringify(changed))
    })

    expect(await opens(store, (await goldenSecrets()).passphrase)).toBe('repository-damaged')
  })
})

describe('a recovery sheet', () => {
  test('with any one letter mistyped is refused, and the line named', async () => {
    const sheet = await readFile(join(GOLDEN, 'recovery-sheet.txt'), 'utf8')
    const lines = sheet.split('\n')
    let tried = 0
    for (const [index, line] of lines.entries()) {
      const number = /^ {4}(\d) {2}[A-Z2-7 ]+$/.exec(line)?.[1]
      if (number === undefined) continue
      for (const [at, letter] of [...line].entries()) {
        if (at < 7 || !/[A-Z2-7]/.test(letter)) continue
        const typed = `${line.slice(0, at)}${letter === 'Q' ? 'R' : 'Q'}${line.slice(at + 1)}`
        const text = lines.with(index, typed).join('\n')
        expect(() => parseRecoverySecret(text)).toThrow(new RegExp(`line ${number} of the recovery sheet`))
        tried += 1
      }
    }
    expect(tried).toBe(4 * 17)
  })

  test('is read in lower case, with other spaces and other lines around it', async () => {
    const sheet = await readFile(join(GOLDEN, 'recovery-sheet.txt'), 'utf8')
    const typed = `${sheet.toLowerCase().replace(/(?<=^ {4}\d {2}.*) /gm, '  ')}\nand more\n`.replaceAll('\n', '\r\n')

    expect(parseRecoverySecret(typed)).toEqual(parseRecoverySecret(sheet))
  })
})
