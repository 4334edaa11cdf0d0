/** What the tests of verification share: looks with everything passed in, and whose rows lie in a chunk. */
import { randomBytes } from 'node:crypto'
import type { Repository } from '../../src/repository/repository.ts'
import { checkRepository } from '../../src/verify/check.ts'
import type { Finding, Verification } from '../../src/verify/finding.ts'
import { type ScrubRequest, type ScrubResult, scrubRepository } from '../../src/verify/scrub.ts'
import { scrubPack } from '../../src/verify/scrub-pack.ts'
import { never } from '../support/repository.ts'

const NOW_MS = Date.UTC(2026, 5, 1)

export async function check(repository: Repository): Promise<Verification> {
  return await checkRepository({ repository, signal: never(), nowMs: () => NOW_MS })
}

interface ScrubOptions extends Partial<ScrubRequest> {
  readonly keepProof?: boolean
}

/** In this thread, over the repository's own store: faults of the store reach it. Leaves no proof unless told to. */
export async function scrub(repository: Repository, options: ScrubOptions = {}): Promise<ScrubResult> {
  const result = await scrubRepository({
    repository,
    signal: never(),
    nowMs: () => NOW_MS,
    random: randomBytes,
    lanes: 1,
    scrubPack: (from, task) => scrubPack(from.store, task),
    ...options,
  })
  if (result.proof && !options.keepProof) await repository.store.delete(result.proof)
  return result
}

export function errorsOf({ findings }: Verification): Finding[] {
  return findings.filter((found) => found.severity === 'error')
}

export function kindsOf({ findings }: Verification): string[] {
  return findings.map((found) => found.kind)
}
