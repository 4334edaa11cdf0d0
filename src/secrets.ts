/**
 * Where passwords, passphrases and store credentials come from: the environment, or files. Never from arguments or
 * from `chartkeep.yaml`, and never into a message.
 *
 * A database's password: `passwordFile` of the source, then PGPASSWORD, then the pgpass file; for SQL Server, passwordFile,
 * then SQLCMDPASSWORD, as sqlcmd reads it. A repository's key: one
 * of CHARTKEEP_PASSPHRASE, CHARTKEEP_PASSPHRASE_FILE, CHARTKEEP_KEY_FILE, CHARTKEEP_RECOVERY_SHEET.
 */
import type { RepositoryConfiguration, SourceConfiguration } from './config.ts'
import { argumentUrl, isSqlServerUrl } from './database-url.ts'
import { Failure } from './errors.ts'
import { findPgpassPassword } from './pgpass.ts'
import type { StoreSettings } from './repository/store/contract.ts'
import type { ConnectionSettings } from './source/contract.ts'
import type { World } from './world.ts'

export type RepositorySecret =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'key-file'; readonly path: string }
  | { readonly kind: 'recovery-sheet'; readonly path: string }

const KEY_VARIABLES = [
  'CHARTKEEP_PASSPHRASE',
  'CHARTKEEP_PASSPHRASE_FILE',
  'CHARTKEEP_KEY_FILE',
  'CHARTKEEP_RECOVERY_SHEET',
] as const

/** @throws bad-configuration, missing-secret */
export async function sourceConnection(source: SourceConfiguration, world: World): Promise<ConnectionSettings> {
  const password =
    source.passwordFile === null
      ? await passwordFromSurroundings(source.url, world)
      : await readSecretFile(source.passwordFile, `passwordFile of source ${source.name}`, world)
  const caPem = source.caFile === null ? null : await readSecretFile(source.caFile, `caFile of ${source.name}`, world)
  return connection(source.url, password, caPem)
}

/**
 * The role that puts patients back.
 * @throws bad-configuration when the source has none; missing-secret
 */
export async function writerConnection(source: SourceConfiguration, world: World): Promise<ConnectionSettings> {
  const { writer, name } = source
  if (writer === null) {
    throw new Failure('bad-configuration', `source ${name} has no role that may write`, {
      hints: ['Give `writer: { url: … }`, with a role of its own: the one that reads never writes.'],
    })
  }
  const password =
    writer.passwordFile === null
      ? await passwordFromSurroundings(writer.url, world)
      : await readSecretFile(writer.passwordFile, `writer.passwordFile of source ${name}`, world)
  const caPem = source.caFile === null ? null : await readSecretFile(source.caFile, `caFile of ${name}`, world)
  return connection(writer.url, password, caPem)
}

/** The server on which copies of the source are made; null where none is configured. @throws missing-secret */
export async function scratchConnection(
  { scratch, name }: SourceConfiguration,
  world: World,
): Promise<ConnectionSettings | null> {
  if (scratch === null) return null
  const { url, passwordFile, caFile } = scratch
  const password =
    passwordFile === null
      ? await passwordFromSurroundings(url, world)
      : await readSecretFile(passwordFile, `scratch.passwordFile of source ${name}`, world)
  const caPem = caFile === null ? null : await readSecretFile(caFile, `scratch.caFile of ${name}`, world)
  return connection(url, password, caPem)
}

/** For `discover URL` and `--into URL`. @throws bad-usage when it holds a password */
export async function argumentConnection(given: string, world: World): Promise<ConnectionSettings> {
  const url = argumentUrl(given)
  return connection(url, await passwordFromSurroundings(url, world), null)
}

/** @throws missing-secret when none is given; bad-usage when several are */
export async function repositorySecret(world: World): Promise<RepositorySecret> {
  const given = KEY_VARIABLES.filter((name) => (world.variables[name] ?? '') !== '')
  if (given.length > 1) {
    throw new Failure('bad-usage', `${given.join(' and ')} are both set`, {
      hints: ['Unset all but one: which of them opens the repository must not be a guess.'],
    })
  }
  const [name] = given
  if (name === undefined) {
    throw new Failure('missing-secret', 'no passphrase and no key file for the repository', {
      hints: [`Set one of ${KEY_VARIABLES.join(', ')}.`],
    })
  }
  const value = world.variables[name]!
  if (name === 'CHARTKEEP_KEY_FILE') return { kind: 'key-file', path: value }
  if (name === 'CHARTKEEP_RECOVERY_SHEET') return { kind: 'recovery-sheet', path: value }
  const passphrase = name === 'CHARTKEEP_PASSPHRASE' ? value : await readSecretFile(value, name, world)
  return { kind: 'passphrase', passphrase }
}

/** @throws missing-secret when an S3 store has no credentials */
export async function storeSettings(repository: RepositoryConfiguration, world: World): Promise<StoreSettings> {
  if (!repository.url.startsWith('s3:')) return { url: repository.url }
  const fromFile = repository.credentialsFile === null ? {} : await readCredentials(repository.credentialsFile, world)
  const value = (name: string) => fromFile[name.toLowerCase()] ?? world.variables[name]
  const accessKey = value('AWS_ACCESS_KEY_ID')
  const secretKey = value('AWS_SECRET_ACCESS_KEY')
  if (!accessKey || !secretKey) {
    const missing = accessKey ? 'AWS_SECRET_ACCESS_KEY' : 'AWS_ACCESS_KEY_ID'
    throw new Failure('missing-secret', `no ${missing} for the store`, {
      hints: ['Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file by repository.credentialsFile.'],
    })
  }
  const region = value('AWS_REGION')
  const caFile = repository.caFile ?? world.variables.AWS_CA_BUNDLE
  const caPem = caFile ? await readSecretFile(caFile, 'certificate authority of the store', world) : undefined
  return { url: repository.url, accessKey, secretKey, ...(region && { region }), ...(caPem && { caPem }) }
}

function connection(url: string, password: string | null, caPem: string | null): ConnectionSettings {
  return { url, ...(password !== null && { password }), ...(caPem !== null && { caPem }) }
}

/** Each program's own variable: the password of one kind of server is never sent to another. */
async function passwordFromSurroundings(url: string, world: World): Promise<string | null> {
  if (isSqlServerUrl(url)) return world.variables.SQLCMDPASSWORD || null
  return world.variables.PGPASSWORD || (await findPgpassPassword(url, world))
}

/** Without the newline that editors put at the end. */
export async function readSecretFile(path: string, what: string, world: World): Promise<string> {
  const content = await world.readTextFile(path)
  if (content === null) throw new Failure('missing-secret', `${what}: no file at ${path}`)
  const secret = content.replace(/\r?\n$/, '')
  if (secret === '') throw new Failure('missing-secret', `${what}: the file at ${path} is empty`)
  return secret
}

/** Lines `name = value` as in the file that S3 clients share; sections and other lines are passed over. */
async function readCredentials(path: string, world: World): Promise<Record<string, string>> {
  const lines = (await readSecretFile(path, 'repository.credentialsFile', world)).split('\n')
  const pairs = lines.map((line) => /^\s*(aws_\w+)\s*=\s*(.*?)\s*$/i.exec(line)).filter((match) => match !== null)
  return Object.fromEntries(pairs.map(([, name, value]) => [name!.toLowerCase(), value!]))
}
