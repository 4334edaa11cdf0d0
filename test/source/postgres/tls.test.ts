/**
 * Encrypted connections: rows come through them as they are, and a certificate is looked at when the address says so.
 * openssl makes authority and certificate for the moment.
 */
import { spawnSync } from 'node:child_process'
import { chmod, chown, copyFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { openSource, readTable } from '../../../src/source/open.ts'
import { connectClient, failureOf, LOCK_TIMEOUT_MS, oldestAndNewest, runSql } from './support.ts'

const hasOpenssl = spawnSync('openssl', ['version'], { stdio: 'ignore' }).status === 0

describe.skipIf(!hasOpenssl)(`Encrypted connections${hasOpenssl ? '' : ' (skipped: there is no openssl)'}`, () => {
  let server: PostgresServer
  let directory = ''
  let caPem = ''
  let otherCaPem = ''
  let url = ''

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'chartkeep-tls-'))
    makeCertificates(directory)
    caPem = await readFile(join(directory, 'ca.pem'), 'utf8')
    otherCaPem = await readFile(join(directory, 'other.pem'), 'utf8')
    server = await startPostgres({ version: Math.max(...oldestAndNewest) })
    await installCertificate(server, directory)
    url = (await server.createDatabase('icu')).replace('127.0.0.1', 'localhost')
    await runSql(url, 'ALTER SYSTEM SET ssl = on')
    await server.stop()
    await server.start()
    await runSql(
      url,
      `CREATE TABLE t (a integer, b text); INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 5000) i`,
    )
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  it('are used where the server offers them, and bring the same rows', async () => {
    const plain = await rowsOf({ url: `${url}?sslmode=disable` })
    for (const mode of ['prefer', 'require'])
      expect((await rowsOf({ url: `${url}?sslmode=${mode}` })).equals(plain)).toBe(true)
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      expect((await rowsOf({ url: `${url}?sslmode=${mode}`, caPem })).equals(plain)).toBe(true)
    }
    expect(await encryption(`${url}?sslmode=disable`)).toEqual([false])
  })

  it('to a server with another authority’s certificate, or another name, are refused', async () => {
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      const failure = await failureOf(() => openSource({ url: `${url}?sslmode=${mode}`, caPem: otherCaPem }))
      expect(failure.code).toBe('source-login-refused')
      expect(failure.message).toContain('certificate')
    }
    const byAddress = `${url.replace('localhost', '127.0.0.1')}?sslmode=`
    expect((await failureOf(() => openSource({ url: `${byAddress}verify-full`, caPem }))).code).toBe(
      'source-login-refused',
    )
    await using source = await openSource({ url: `${byAddress}verify-ca`, caPem })
    expect((await source.identify()).databaseName).toBe('icu')
  })

  it('carry the schema as well', async () => {
    await using source = await openSource({ url: `${url}?sslmode=verify-full`, caPem })
    const { signal } = new AbortController()
    await using read = await source.openRead({ tables: ['public.t'], signal, lockTimeoutMs: LOCK_TIMEOUT_MS })
    expect((await read.readDdl()).steps.map((step) => step.object)).toContain('TABLE public.t')
  })
})

async function rowsOf(settings: ConnectionSettings): Promise<Buffer> {
  await using source = await openSource(settings)
  const { signal } = new AbortController()
  await using read = await source.openRead({ tables: ['public.t'], signal, lockTimeoutMs: LOCK_TIMEOUT_MS })
  const chunks: Uint8Array[] = []
  for (const table of read.tableTickets) {
    for await (const chunk of readTable(read.ticket, table, signal)) chunks.push(Uint8Array.from(chunk))
  }
  return Buffer.concat(chunks)
}

/** Whether the sessions of a source are encrypted. */
async function encryption(url: string): Promise<boolean[]> {
  await using source = await openSource({ url })
  await source.identify()
  await using client = await connectClient(url.replace(/\?.*/, ''))
  const { rows } = await client.query(`SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
    WHERE a.application_name = 'chartkeep'`)
  return rows.map((row) => row.ssl)
}

/** The server reads its key only when nobody else may. */
async function installCertificate(server: PostgresServer, directory: string): Promise<void> {
  const { uid, gid } = await stat(server.dataDirectory)
  for (const name of ['server.crt', 'server.key']) {
    const installed = join(server.dataDirectory, name)
    await copyFile(join(directory, name), installed)
    await chown(installed, uid, gid)
    await chmod(installed, 0o600)
  }
}

function makeCertificates(directory: string): void {
  const inside = (name: string) => join(directory, name)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  for (const authority of ['ca', 'other']) {
    const files = ['-keyout', inside(`${authority}.key`), '-out', inside(`${authority}.pem`)]
    openssl(['req', '-x509', ...newKey, ...files, '-subj', `/CN=${authority}`, '-days', '2'])
  }
  openssl(['req', ...newKey, '-keyout', inside('server.key'), '-out', inside('request'), '-subj', '/CN=localhost'])
  const signing = ['-CA', inside('ca.pem'), '-CAkey', inside('ca.key'), '-CAcreateserial', '-days', '2']
  openssl(['x509', '-req', '-in', inside('request'), ...signing, '-out', inside('server.crt')])
}

function openssl(args: readonly string[]): void {
  const result = spawnSync('openssl', args, { encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`openssl ${args[0]}: ${result.stderr}`)
}
