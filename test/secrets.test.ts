import { describe, expect, it } from 'vitest'
import { parseConfiguration, type SourceConfiguration } from '../src/config.ts'
import { hasPassword, redactUrl } from '../src/database-url.ts'
import { matchPgpass } from '../src/pgpass.ts'
import { argumentConnection, repositorySecret, sourceConnection, storeSettings } from '../src/secrets.ts'
import { type FakeFile, fakeWorld } from './support/world.ts'

const URL_ICU = 'postgres://chartkeep@db.hospital:5433/icu'
const PGPASS = '/home/nurse/.pgpass'
const FROM_PGPASS = { [PGPASS]: { text: 'db.hospital:5433:icu:chartkeep:from-pgpass\n' } }

function source(more = ''): SourceConfiguration {
  const file = `repository: {url: "file:///r"}\nsources:\n  icu:\n    url: ${URL_ICU}\n${more}`
  return parseConfiguration(file, { path: '/etc/chartkeep.yaml' }).sources[0]!
}

const world = (variables: Record<string, string> = {}, files: Record<string, FakeFile> = {}) =>
  fakeWorld({ variables, files })

describe("a source's password", () => {
  const withFile = source('    passwordFile: /run/secret\n')
  const secretFile = { '/run/secret': { text: 'from-file\r\n' } }

  it.each([
    [
      'its own file before all',
      withFile,
      world({ PGPASSWORD: 'from-environment' }, { ...secretFile, ...FROM_PGPASS }),
      'from-file',
    ],
    [
      'the environment before pgpass',
      source(),
      world({ PGPASSWORD: 'from-environment' }, FROM_PGPASS),
      'from-environment',
    ],
    ['pgpass at last', source(), world({}, FROM_PGPASS), 'from-pgpass'],
    [
      'another pgpass when one is named',
      source(),
      world({ PGPASSFILE: '/p' }, { ...FROM_PGPASS, '/p': { text: '*:*:*:*:other' } }),
      'other',
    ],
  ])('comes from %s', async (_, from, surroundings, password) => {
    expect(await sourceConnection(from, surroundings)).toEqual({ url: URL_ICU, password })
  })

  it('may be absent: the server decides whether it wants one', async () => {
    expect(await sourceConnection(source(), world())).toEqual({ url: URL_ICU })
  })

  it('is missing when its file is, or is empty', async () => {
    await expect(sourceConnection(withFile, world())).rejects.toMatchObject({ code: 'missing-secret' })
    const empty = world({}, { '/run/secret': { text: '\n' } })
    await expect(sourceConnection(withFile, empty)).rejects.toMatchObject({ code: 'missing-secret' })
  })

  it('is not taken from a pgpass file that others may read', async () => {
    const open = world({}, { [PGPASS]: { ...FROM_PGPASS[PGPASS]!, mode: 0o644 } })

    await expect(sourceConnection(source(), open)).rejects.toMatchObject({
      code: 'missing-secret',
      message: expect.stringContaining('mode 0644, expected 0600'),
      hints: [`Run \`chmod 600 ${PGPASS}\`.`],
    })
  })

  it('does not fail over an open pgpass file that has nothing for it', async () => {
    const open = world({}, { [PGPASS]: { text: 'elsewhere:*:*:*:x', mode: 0o644 } })

    expect(await sourceConnection(source(), open)).toEqual({ url: URL_ICU })
  })

  it('travels with the certificate authority of the source', async () => {
    const from = source('    caFile: ca.pem\n')
    const files = { '/etc/ca.pem': { text: 'PEM\n' } }

    expect(await sourceConnection(from, world({}, files))).toEqual({ url: URL_ICU, caPem: 'PEM' })
  })
})

describe('a pgpass file', () => {
  const wanted = ['db.hospital', '5433', 'icu', 'chartkeep']

  it.each([
    ['the first line that fits', 'x:*:*:*:no\n*:*:*:*:yes\n*:*:*:*:late', 'yes'],
    ['no comment', '#*:*:*:*:no', null],
    ['no line with too few fields', '*:*:*:no', null],
    ['escapes undone', String.raw`*:*:*:*:a\:b\\c`, String.raw`a:b\c`],
    ['no escaped star as a wildcard', String.raw`\*:*:*:*:no`, null],
    ['empty fields as they are', ':5433:icu:chartkeep:no', null],
    ['an empty password', '*:*:*:*:', ''],
    ['lines ended as on Windows', '*:*:*:*:yes\r\n', 'yes'],
    ['no more than the fifth field', '*:*:*:*:yes:more', 'yes'],
  ])('gives %s', (_, content, password) => {
    expect(matchPgpass(content, wanted)).toBe(password)
  })

  it.each([
    ['a socket directory as localhost', 'postgres:///icu?host=/run/postgresql', 'localhost:5432:icu:nurse:yes'],
    ['the database of the name of the user', 'postgres://chartkeep@h', 'h:5432:chartkeep:chartkeep:yes'],
    ['an address without its brackets', 'postgres://u@[::1]:5433/d', String.raw`\:\:1:5433:d:u:yes`],
    ['names without their URL escapes', 'postgres://%E7%8E%8B@h/%E9%87%8D', 'h:5432:重:王:yes'],
  ])('is asked for %s', async (_, url, line) => {
    const connection = await argumentConnection(url, world({}, { [PGPASS]: { text: line } }))

    expect(connection.password).toBe('yes')
  })
})

describe('a URL that is typed as an argument', () => {
  it.each([
    'postgres://u:geheim@h/d?sslmode=require',
    'postgres://u@h/d?password=geheim',
    'postgres://u@h/d?sslpassword=geheim',
  ])('is refused with a password in it, which the list of processes shows: %s', async (url) => {
    const refused = await argumentConnection(url, world({ PGPASSWORD: 'other' })).catch((error: unknown) => error)

    expect(refused).toMatchObject({ code: 'bad-usage' })
    expect(JSON.stringify([refused, String(refused)])).not.toContain('geheim')
  })

  it('gets the password of the environment when it has none', async () => {
    expect(await argumentConnection('postgres://u@h/d', world({ PGPASSWORD: 'p' }))).toMatchObject({ password: 'p' })
  })

  it.each([
    'icu',
    'https://u:geheim@h/d',
    'host=h password=geheim',
  ])('is refused when it names no database, and is not repeated with its password: %s', async (url) => {
    const refused = await argumentConnection(url, world()).catch((error: unknown) => error)

    expect(refused).toMatchObject({ code: 'bad-usage' })
    expect(JSON.stringify([refused, String(refused)])).not.toContain('geheim')
  })
})

describe('a URL for display', () => {
  it.each([
    ['postgres://u:geheim@h:5432/d', 'postgres://u:***@h:5432/d'],
    ['postgres://u@h/d?password=geheim&sslmode=require', 'postgres://u@h/d?password=***&sslmode=require'],
    ['s3://bucket/prefix?secretKey=geheim', 's3://bucket/prefix?secretKey=***'],
    ['geheim', '(not a URL)'],
    ['postgres://u@h/d', 'postgres://u@h/d'],
    ['file:///srv/chartkeep', 'file:///srv/chartkeep'],
  ])('hides what is secret and nothing else: %s', (url, shown) => {
    expect(redactUrl(url)).toBe(shown)
    expect(hasPassword(url)).toBe(shown.includes('***'))
  })
})

describe("a repository's key", () => {
  it.each([
    ['a passphrase', world({ CHARTKEEP_PASSPHRASE: ' as it is ' }), { kind: 'passphrase', passphrase: ' as it is ' }],
    [
      'a passphrase in a file',
      world({ CHARTKEEP_PASSPHRASE_FILE: '/p' }, { '/p': { text: ' from file \n' } }),
      { kind: 'passphrase', passphrase: ' from file ' },
    ],
    ['a key file', world({ CHARTKEEP_KEY_FILE: '/k' }), { kind: 'key-file', path: '/k' }],
  ])('may be %s', async (_, surroundings, secret) => {
    expect(await repositorySecret(surroundings)).toEqual(secret)
  })

  it('is never guessed: none and two are refused', async () => {
    await expect(repositorySecret(world({ CHARTKEEP_PASSPHRASE: '' }))).rejects.toMatchObject({
      code: 'missing-secret',
    })
    const both = world({ CHARTKEEP_PASSPHRASE: 'geheim', CHARTKEEP_KEY_FILE: '/k' })
    await expect(repositorySecret(both)).rejects.toMatchObject({
      code: 'bad-usage',
      message: 'CHARTKEEP_PASSPHRASE and CHARTKEEP_KEY_FILE are both set',
    })
  })
})

describe("a store's credentials", () => {
  const bucket = { url: 's3://bucket/prefix', credentialsFile: null, caFile: null }
  const variables = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key', AWS_REGION: 'cn-north-1' }

  it('come from the environment, or from the file that is named', async () => {
    const files = { '/c': { text: '[default]\naws_access_key_id = id2\naws_secret_access_key=key=2 \n' } }

    expect(await storeSettings(bucket, world(variables))).toEqual({
      url: bucket.url,
      accessKey: 'id',
      secretKey: 'key',
      region: 'cn-north-1',
    })
    expect(await storeSettings({ ...bucket, credentialsFile: '/c' }, world(variables, files))).toEqual({
      url: bucket.url,
      accessKey: 'id2',
      secretKey: 'key=2',
      region: 'cn-north-1',
    })
  })

  it('are not looked for when the store is a directory', async () => {
    expect(await storeSettings({ ...bucket, url: 'file:///r' }, world(variables))).toEqual({ url: 'file:///r' })
  })

  it('are missing by name', async () => {
    await expect(storeSettings(bucket, world({ AWS_ACCESS_KEY_ID: 'id' }))).rejects.toMatchObject({
      code: 'missing-secret',
      message: 'no AWS_SECRET_ACCESS_KEY for the store',
    })
  })
})
