/** Golden repositories as they lie in the checkout, and copies of them to work on. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UnlockSecret } from '../../src/repository/crypto/key-wrapper.ts'
import { parseRecoverySecret } from '../../src/repository/crypto/recovery-sheet.ts'

export const GOLDEN = join(import.meta.dirname, '../golden/format-1')
/** Made later, when packs had version 2: leaves hold columns of patterns. */
export const GOLDEN_PACKS_2 = join(import.meta.dirname, '../golden/format-1-packs-2')

export interface GoldenSecrets {
  readonly passphrase: UnlockSecret
  readonly keyFile: UnlockSecret
  readonly recoverySheet: UnlockSecret
}

export async function goldenSecrets(golden: string = GOLDEN): Promise<GoldenSecrets> {
  const passphrase = (await readFile(join(golden, 'passphrase'), 'utf8')).trimEnd()
  const sheet = await readFile(join(golden, 'recovery-sheet.txt'), 'utf8')
  return {
    passphrase: { kind: 'passphrase', passphrase },
    keyFile: { kind: 'key-file', bytes: await readFile(join(golden, 'key-file')) },
    recoverySheet: { kind: 'recovery-sheet', secret: parseRecoverySecret(sheet) },
  }
}

/** Every file below `directory`, by its path with slashes. */
export async function readFiles(directory: string): Promise<Map<string, Uint8Array>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = new Map<string, Uint8Array>()
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name)
    const name = path.slice(directory.length + 1).replaceAll('\\', '/')
    files.set(name, Uint8Array.from(await readFile(path)))
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A copy of the repository in a directory of its own, with the empty folder of a directory store, which git drops. */
export async function copyGolden(golden: string = GOLDEN): Promise<{ directory: string } & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'chartkeep-golden-'))
  await cp(join(golden, 'repository'), directory, { recursive: true })
  await mkdir(join(directory, '+tmp'), { recursive: true })
  return { directory, [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true, force: true }) }
}

/** What PostgreSQL's own COPY said of every table of a snapshot, by the table's name. */
export async function expectedTables(snapshotId: string, golden: string = GOLDEN): Promise<Map<string, Buffer>> {
  const directory = join(golden, 'expected', snapshotId)
  const lines = (await readFile(join(directory, 'tables.txt'), 'utf8')).trimEnd().split('\n')
  const tables = new Map<string, Buffer>()
  for (const line of lines) {
    const [file, name] = line.split('\t') as [string, string]
    tables.set(name, await readFile(join(directory, file)))
  }
  return tables
}

export async function goldenSnapshots(golden: string = GOLDEN): Promise<string[]> {
  return (await readdir(join(golden, 'expected'))).sort()
}
