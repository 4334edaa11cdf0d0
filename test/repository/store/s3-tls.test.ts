/**
 * An S3 store behind TLS whose certificate a private authority has signed, as in a hospital: a proxy that ends the TLS
 * stands before the real server. openssl makes authority and certificate for the moment.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Radosgw, startRadosgw, whyNoRadosgw } from '../../../scripts/support/radosgw.ts'
import { openStore } from '../../../src/repository/store/open.ts'
import { type S3Proxy, startS3Proxy } from '../../support/s3-proxy.ts'

const hasOpenssl = spawnSync('openssl', ['version'], { stdio: 'ignore' }).status === 0
const why = whyNoRadosgw() ?? (hasOpenssl ? null : 'there is no openssl')
if (why !== null) process.stderr.write(`skipped: S3 behind TLS, because ${why}\n`)

describe.skipIf(why !== null)('an S3 store behind TLS', () => {
  let gateway: Radosgw
  let proxy: S3Proxy
  let caPem: string
  beforeAll(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'chartkeep-tls-'))
    const made = await makeCertificates(directory)
    caPem = made.caPem
    await rm(directory, { recursive: true })
    gateway = await startRadosgw()
    await gateway.makeBucket('private')
    proxy = await startS3Proxy(gateway.port, made)
  }, 60_000)
  afterAll(async () => {
    await proxy.close()
    await gateway.stop()
  })

  test('is opened with the PEM of its authority, and signs what it sends', async () => {
    const store = await openStore({ ...gateway.settings('private/p', proxy.endpoint), caPem })

    await store.put('key', Uint8Array.from([1, 2]))

    expect([...(await store.getRange('key', 1, 2))]).toEqual([2])
    expect(proxy.requests.length).toBeGreaterThan(0)
    await store.close()
  })

  test('is refused without it, with a hint, before anything is sent', async () => {
    proxy.plan()

    const failure = await openStore(gateway.settings('private', proxy.endpoint)).catch((error: unknown) => error)

    expect(failure).toMatchObject({ code: 'store-refused', hints: [expect.stringContaining('PEM')] })
    expect(proxy.requests).toEqual([])
  })
})

async function makeCertificates(directory: string): Promise<{ caPem: string; key: string; cert: string }> {
  const inside = (name: string) => join(directory, name)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const authority = ['-keyout', inside('ca.key'), '-out', inside('ca.pem'), '-subj', '/CN=test authority', '-days', '2']
  openssl(['req', '-x509', ...newKey, ...authority])
  openssl(['req', ...newKey, '-keyout', inside('key.pem'), '-out', inside('request.pem'), '-subj', '/CN=localhost'])
  await writeFile(inside('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  const signing = ['-CA', inside('ca.pem'), '-CAkey', inside('ca.key'), '-CAcreateserial', '-extfile', inside('names')]
  openssl(['x509', '-req', '-in', inside('request.pem'), ...signing, '-out', inside('cert.pem'), '-days', '2'])
  const read = async (name: string) => await readFile(inside(name), 'utf8')
  return { caPem: await read('ca.pem'), key: await read('key.pem'), cert: await read('cert.pem') }
}

function openssl(args: string[]): void {
  const result = spawnSync('openssl', args, { encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`openssl ${args[0]}: ${result.stderr}`)
}
