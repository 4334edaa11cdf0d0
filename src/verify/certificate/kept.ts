/**
 * Certificates that the service issued, kept in the repository until somebody fetches them: one object each, so that there
 * is a whole package or none.
 *
 *     certificates/<number>      canonical JSON, exactly `files`: name within the package to its bytes in base64
 */
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { CERTIFICATE_PREFIX } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'

const packageSchema = z.strictObject({ files: z.record(z.string(), z.base64()) })
/** Every line of a balance for twenty years, and its pages. */
const BYTES_MAX = 256 * 1024 * 1024

/** Durable on return. @throws object-exists, store-… */
export async function keepCertificate(
  { sealed }: Repository,
  number: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const encoded = [...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')])
  const bytes = canonicalBytes({ files: Object.fromEntries(encoded) })
  await sealed.write(CERTIFICATE_PREFIX + number, OBJECT_TYPES.certificate, bytes)
}

/** Newest first. @throws store-… */
export async function keptCertificates({ sealed }: Repository): Promise<string[]> {
  return (await sealed.names(CERTIFICATE_PREFIX)).map((name) => name.slice(CERTIFICATE_PREFIX.length)).toReversed()
}

/** The files of the package by name. @throws not-found; repository-damaged, store-… */
export async function keptPackage({ sealed }: Repository, number: string): Promise<Map<string, Uint8Array>> {
  const name = CERTIFICATE_PREFIX + number
  const bytes = await sealed.read(name, OBJECT_TYPES.certificate).catch((error) => {
    if (!(error instanceof Failure && error.code === 'object-missing')) throw error
    throw new Failure('not-found', `no certificate ${number} in this repository`, {
      hints: ['One that `chartkeep certificate issue` wrote into a directory stands there, and nowhere else.'],
    })
  })
  const parsed = packageSchema.safeParse(parseCanonical(bytes, name, { bytesMax: BYTES_MAX }))
  if (!parsed.success) {
    throw new Failure('repository-damaged', `object ${name} is no certificate`, { context: { object: name } })
  }
  return new Map(Object.entries(parsed.data.files).map(([file, text]) => [file, Buffer.from(text, 'base64')]))
}
