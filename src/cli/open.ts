/** From the options of a command to what it works on. */
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { type Configuration, chooseSource, loadConfiguration, type SourceConfiguration } from '../config.ts'
import { Failure } from '../errors.ts'
import { KEY_FILE_BYTES_MIN, type UnlockSecret } from '../repository/crypto/key-wrapper.ts'
import { parseRecoverySecret } from '../repository/crypto/recovery-sheet.ts'
import { announceReading } from '../repository/readers.ts'
import type { Repository } from '../repository/repository.ts'
import { openRepository } from '../repository/repository-lifecycle.ts'
import { openStore } from '../repository/store/open.ts'
import { repositorySecret, sourceConnection, storeSettings } from '../secrets.ts'
import type { Source } from '../source/contract.ts'
import { openSource } from '../source/open.ts'
import type { World } from '../world.ts'
import type { Cli, CommonOptions } from './command.ts'

export async function readConfiguration(cli: Cli, options: CommonOptions): Promise<Configuration> {
  const { config: path, repo } = options
  return await loadConfiguration({ path, world: cli.world, ...(repo !== undefined && { repositoryUrl: repo }) })
}

export async function unlockSecret(world: World): Promise<UnlockSecret> {
  const secret = await repositorySecret(world)
  if (secret.kind === 'passphrase') return secret
  const bytes = await readFile(secret.path).catch((error: NodeJS.ErrnoException) => {
    throw new Failure('missing-secret', `cannot read the ${secret.kind} at ${secret.path} (${error.code})`)
  })
  if (secret.kind === 'recovery-sheet') {
    return { kind: 'recovery-sheet', secret: parseRecoverySecret(bytes.toString('utf8')) }
  }
  if (bytes.length < KEY_FILE_BYTES_MIN) {
    throw new Failure(
      'missing-secret',
      `the key file has ${bytes.length} bytes, at least ${KEY_FILE_BYTES_MIN} are needed`,
      {
        hints: [`Make one with: head -c 32 /dev/urandom > ${secret.path}`],
      },
    )
  }
  return { kind: 'key-file', bytes }
}

/** Who runs this, for the audit: the account, and the machine. */
export function actorOf(cli: Cli): string {
  return `${cli.world.userName}@${hostname()}`
}

/** To be disposed of by the caller. */
export async function openConfiguredRepository(cli: Cli, configuration: Configuration): Promise<Repository> {
  const secret = await unlockSecret(cli.world)
  const settings = await storeSettings(configuration.repository, cli.world)
  const store = await openStore(settings)
  try {
    return await openRepository(store, settings, secret)
  } catch (error) {
    await store.close()
    throw error
  }
}

/** To be disposed of by the caller. */
export async function openConfiguredSource(
  cli: Cli,
  configuration: Configuration,
  options: CommonOptions,
): Promise<{ configured: SourceConfiguration; source: Source }> {
  const configured = chooseSource(configuration, options.source)
  return { configured, source: await openSource(await sourceConnection(configured, cli.world)) }
}

/** For what may take longer than a grace: from here to its disposal prune deletes nothing. `what`: for people. */
export async function announce(cli: Cli, repository: Repository, what: string): Promise<AsyncDisposable> {
  return await announceReading(repository, { holder: `${what} of ${actorOf(cli)}`, nowMs: cli.nowMs })
}
