/**
 * Every root once more, from the rows of the rebuilt database: `restore` proved them, and here they can be seen. Beside
 * them the manifest of the base, for what has changed since.
 */
import { readFile } from 'node:fs/promises'
import { BuildPool } from '../../src/intake/build-pool.ts'
import { type ProvenTable, proveRoots } from '../../src/intake/prove-roots.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { openStore } from '../../src/repository/store/open.ts'
import { openSource } from '../../src/source/open.ts'

export interface RebuiltDatabase {
  readonly url: string
  readonly repositoryUrl: string
  readonly passphraseFile: string
  /** Of the snapshot that was rebuilt. */
  readonly manifest: Manifest
  readonly baseSnapshot: string
}

export interface RebuiltRoots {
  readonly base: Manifest
  readonly roots: readonly ProvenTable[]
}

export async function rootsOfRebuilt(rebuilt: RebuiltDatabase): Promise<RebuiltRoots> {
  const settings = { url: rebuilt.repositoryUrl }
  const passphrase = (await readFile(rebuilt.passphraseFile, 'utf8')).trimEnd()
  await using repository = await openRepository(await openStore(settings), settings, { kind: 'passphrase', passphrase })
  await using source = await openSource({ url: rebuilt.url })
  await using pool = new BuildPool()
  const { signal } = new AbortController()
  const { manifest: base } = await repository.readManifest(rebuilt.baseSnapshot)
  const roots = await proveRoots({ source, manifest: rebuilt.manifest, repository, pool, signal })
  return { base, roots }
}
