/**
 * The first of prune's two phases, as an object: what nothing needed when it was looked at, and since when. What is not
 * in a mark that is old enough is never deleted; what is, only when it is still not needed.
 *
 *     prunes/<id>     one look's new finds
 */
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { PRUNE_PREFIX, pruneKey } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'

const count = z.int().nonnegative()

const markSchema = z.strictObject({
  format: z.literal(1),
  markId: z.string(),
  madeAt: z.string(),
  actor: z.string(),
  packs: z.array(z.strictObject({ packId: z.string().regex(/^[0-9a-f]{32}$/), why: z.string() })),
  /** Names of objects. */
  indexes: z.array(z.strictObject({ name: z.string(), why: z.string() })),
  /** Of each log, segments before `first`. */
  logs: z.array(z.strictObject({ logId: z.string(), first: count, why: z.string() })),
})

export type PruneMark = Omit<z.infer<typeof markSchema>, 'format'>

/** Oldest first. @throws repository-damaged when one cannot be read; store-… */
export async function readMarks(repository: Repository): Promise<PruneMark[]> {
  const marks: PruneMark[] = []
  for (const name of await repository.sealed.names(PRUNE_PREFIX)) {
    const bytes = await repository.sealed.read(name, OBJECT_TYPES.pruneMark).catch((error) => {
      // Carried out and taken away since the listing.
      if (error instanceof Failure && error.code === 'object-missing') return null
      throw error
    })
    if (bytes === null) continue
    const parsed = markSchema.safeParse(parseCanonical(bytes, name))
    if (!parsed.success || pruneKey(parsed.data.markId) !== name) {
      throw new Failure('repository-damaged', `object ${name} is not a mark of prune`, { context: { object: name } })
    }
    const { format: _, ...mark } = parsed.data
    marks.push(mark)
  }
  return marks
}

/** Durable on return. @throws store-… */
export async function writeMark(repository: Repository, mark: PruneMark): Promise<void> {
  await repository.sealed.write(pruneKey(mark.markId), OBJECT_TYPES.pruneMark, canonicalBytes({ format: 1, ...mark }))
}

/** When each thing was first found to be needed by nothing, in milliseconds since 1970. */
export interface Marked {
  readonly packs: ReadonlyMap<string, number>
  readonly indexes: ReadonlyMap<string, number>
  /** By log: firsts, with their times. */
  readonly logs: ReadonlyMap<string, readonly { readonly first: number; readonly atMs: number }[]>
}

export function markedSince(marks: readonly PruneMark[]): Marked {
  const packs = new Map<string, number>()
  const indexes = new Map<string, number>()
  const logs = new Map<string, { readonly first: number; readonly atMs: number }[]>()
  const earliest = (map: Map<string, number>, key: string, atMs: number) => {
    map.set(key, Math.min(atMs, map.get(key) ?? atMs))
  }
  for (const mark of marks) {
    const atMs = Date.parse(mark.madeAt)
    for (const { packId } of mark.packs) earliest(packs, packId, atMs)
    for (const { name } of mark.indexes) earliest(indexes, name, atMs)
    for (const { logId, first } of mark.logs) logs.set(logId, [...(logs.get(logId) ?? []), { first, atMs }])
  }
  return { packs, indexes, logs }
}
