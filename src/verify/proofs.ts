/**
 * What scrubs have proved, and when: one small object for each scrub.
 */
import { z } from 'zod'
import { Failure } from '../errors.ts'
import { PROOF_PREFIX, proofKey, timedId } from '../repository/layout.ts'
import type { Repository } from '../repository/repository.ts'
import { damageOf, type Finding, warning } from './finding.ts'
import type { ScrubDepth } from './scrub-pack.ts'

const proofSchema = z.strictObject({
  format: z.literal(1),
  startedAt: z.string(),
  endedAt: z.string(),
  snapshots: z.array(z.string()),
  packs: z.array(z.string()),
  /** What was looked at of the packs: their bytes only. Absent: their rows, too. */
  depth: z.literal('bytes').optional(),
})

export type Proof = z.infer<typeof proofSchema>

export interface ProofAge {
  /** Of all packs that were asked for, the one proved longest ago: ISO time, or null when some never was. */
  readonly oldest: string | null
  readonly neverProved: number
}

export async function writeProof(
  repository: Repository,
  proof: Omit<Proof, 'format'>,
  nowMs: number,
  random: (bytes: number) => Uint8Array,
): Promise<string> {
  const name = proofKey(timedId(nowMs, random(4)))
  await repository.writeProof(name, { format: 1, ...proof })
  return name
}

/** How long ago each pack was last proved, at this depth or below it, at the worst. @throws store-… */
export async function oldestProof(
  repository: Repository,
  packIds: Iterable<string>,
  depth: ScrubDepth = 'rows',
): Promise<ProofAge> {
  const provedAt = await provedTimes(repository, depth)
  const times: string[] = []
  let neverProved = 0
  for (const packId of packIds) {
    const time = provedAt.get(packId)
    if (time === undefined) neverProved += 1
    else times.push(time)
  }
  return { oldest: neverProved > 0 ? null : (times.sort()[0] ?? null), neverProved }
}

/** By pack: when it was last proved, at this depth or below it. A pack that never was is not there. @throws store-… */
export async function provedTimes(repository: Repository, depth: ScrubDepth): Promise<Map<string, string>> {
  const provedAt = new Map<string, string>()
  for (const name of await proofNames(repository)) {
    const proof = await readProof(repository, name).catch(damageOf)
    // A damaged proof proves nothing; that it is damaged is a finding of check.
    if (proof instanceof Failure || (depth === 'rows' && proof.depth === 'bytes')) continue
    for (const packId of proof.packs) provedAt.set(packId, proof.endedAt)
  }
  return provedAt
}

/** Proofs that cannot be read. */
export async function damagedProofs(repository: Repository): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const name of await proofNames(repository)) {
    try {
      await readProof(repository, name)
    } catch (error) {
      const { message } = damageOf(error)
      const hint = 'No row is affected. Run `chartkeep scrub`: it proves everything anew.'
      findings.push(warning({ kind: 'proof-damaged', object: name, message, hint }))
    }
  }
  return findings
}

/** Oldest first. */
async function proofNames(repository: Repository): Promise<string[]> {
  const names: string[] = []
  for await (const { key } of repository.store.list(PROOF_PREFIX)) names.push(key)
  return names.sort()
}

async function readProof(repository: Repository, name: string): Promise<Proof> {
  const parsed = proofSchema.safeParse(await repository.readProof(name))
  if (parsed.success) return parsed.data
  throw new Failure('repository-damaged', `${name} is not a proof`, { context: { object: name } })
}
