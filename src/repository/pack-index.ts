/**
 * The index of one run: the packs it wrote. A chunk's place stands in its parent node (docs/decisions/0001); the index
 * says which objects must be there, how long they are, and what they hash to.
 */
import { z } from 'zod'
import { Failure } from '../errors.ts'

const packRecordSchema = z.strictObject({
  packId: z.string().regex(/^[0-9a-f]{32}$/),
  bytes: z.int().positive(),
  chunks: z.int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})

const packIndexSchema = z.strictObject({
  format: z.literal(1),
  snapshotId: z.string(),
  packs: z.array(packRecordSchema),
})

export type PackIndex = z.infer<typeof packIndexSchema>

/** @throws repository-damaged */
export function parsePackIndex(value: unknown, name: string): PackIndex {
  const parsed = packIndexSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new Failure('repository-damaged', `${name} is not an index`, { context: { object: name } })
}
