import { z } from '@hono/zod-openapi'
import { assert } from '../../errors.ts'
import { keptCertificates, keptPackage } from '../../verify/certificate/kept.ts'
import { CERTIFICATE_FILE } from '../../verify/certificate/package.ts'
import { sha256Hex } from '../../verify/certificate/seal.ts'
import { tarOf } from '../../verify/certificate/tar.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { ANYBODY, define, defineRaw, type Routes } from '../route.ts'
import { damagedSchema, limitQuery } from '../schemas.ts'
import { readEach } from './read-each.ts'

const TAG = 'certificates'
const certificateParam = z.object({ certificate: z.string().regex(/^CK-\d{8}T\d{6}Z-[0-9a-f]{8}$/) })

/** What of certificate.json a list shows. */
const certificateSchema = z
  .object({
    number: z.string(),
    organisation: z.string(),
    system: z.string(),
    issuedAt: z.string(),
    opinion: z.object({ verdict: z.string(), because: z.array(z.string()) }),
    baseline: z.object({ snapshotId: z.string() }),
    end: z.object({ snapshotId: z.string() }),
    sha256: z.string(),
  })
  .openapi('Certificate')

/** Certificates that a job issued; those of the command line stand in their directories. */
export function registerCertificates(routes: Routes, { repository }: ApiDependencies): void {
  define(
    routes,
    {
      method: 'get',
      path: '/v1/certificates',
      summary: 'certificates that jobs issued, newest first',
      tag: TAG,
      roles: ANYBODY,
      query: z.object({ limit: limitQuery(10, 50) }),
      result: z.object({ certificates: z.array(certificateSchema), damaged: damagedSchema }),
      heavy: true,
    },
    async ({ query }) => {
      const numbers = (await keptCertificates(repository)).slice(0, query.limit)
      const { read, damaged } = await readEach(numbers, async (number): Promise<z.infer<typeof certificateSchema>> => {
        const json = fileOf(await keptPackage(repository, number), CERTIFICATE_FILE)
        return { ...JSON.parse(json.toString()), sha256: sha256Hex(json) }
      })
      return { certificates: read, damaged }
    },
  )

  defineRaw(
    routes,
    {
      method: 'get',
      path: '/v1/certificates/{certificate}',
      summary: 'certificate.json, byte by byte as its seal has it',
      tag: TAG,
      roles: ANYBODY,
      params: certificateParam,
      contentType: 'application/json',
    },
    async ({ params }) =>
      bytesOf(fileOf(await keptPackage(repository, params.certificate), CERTIFICATE_FILE), 'application/json'),
  )

  defineRaw(
    routes,
    {
      method: 'get',
      path: '/v1/certificates/{certificate}/pdf',
      summary: 'the certificate, to be printed',
      tag: TAG,
      roles: ANYBODY,
      params: certificateParam,
      query: z.object({ language: z.enum(['zh', 'en']).default('zh') }),
      contentType: 'application/pdf',
    },
    async ({ params, query }) => {
      const files = await keptPackage(repository, params.certificate)
      return bytesOf(fileOf(files, `certificate.${query.language}.pdf`), 'application/pdf')
    },
  )

  defineRaw(
    routes,
    {
      method: 'get',
      path: '/v1/certificates/{certificate}/package',
      summary: 'everything of it as a tar: unpack it, and `node verify.mjs` verifies it',
      tag: TAG,
      roles: ANYBODY,
      params: certificateParam,
      contentType: 'application/x-tar',
    },
    async ({ params }) => {
      const files = await keptPackage(repository, params.certificate)
      const { issuedAt } = JSON.parse(fileOf(files, CERTIFICATE_FILE).toString())
      return bytesOf(tarOf(files, Date.parse(issuedAt)), 'application/x-tar')
    },
  )
}

function fileOf(files: ReadonlyMap<string, Uint8Array>, name: string): Buffer {
  const bytes = files.get(name)
  assert(bytes, `a package has ${name}`)
  return Buffer.from(bytes)
}

function bytesOf(bytes: Uint8Array, contentType: string): Response {
  return new Response(Buffer.from(bytes), { headers: { 'Content-Type': contentType } })
}
