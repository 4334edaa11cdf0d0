import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { Failure } from '../errors.ts'
import { timedId } from '../repository/layout.ts'
import type { Repository } from '../repository/repository.ts'
import { createSigner, type KnownSigner, revokeSigner, SIGNER_ROLES, type SignerRole } from '../repository/signers.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatTable } from './terminal.ts'

interface CreateOptions extends CommonOptions {
  readonly role: string
  readonly name: string
  readonly out?: string
}

interface RevokeOptions extends CommonOptions {
  readonly from?: string
  readonly reason: string
}

const FAILURES = ['missing-secret', 'wrong-key', 'repository-not-found', 'store-unreachable'] as const

export function register(program: Command, cli: Cli): void {
  const key = new Command('key').summary('signing keys of agents and people').exitOverride()
  key.description('Who may sign what: agents sign snapshots; people request, approve, execute and audit.')

  const create = describe({
    name: 'create',
    summary: 'make a signing key',
    description:
      "An agent's key stays sealed in the repository. A person's private key is written to a file of theirs, encrypted\n" +
      'under CHARTKEEP_KEY_PASSPHRASE, and is never stored anywhere else.',
    examples: [
      'chartkeep key create --role approver --name "Dr. Chen" --out chen.key',
      'chartkeep key create --role agent --name backup-2',
    ],
    failures: FAILURES,
  })
  withConfiguration(create)
    .requiredOption('--role <role>', SIGNER_ROLES.join(', '))
    .requiredOption('--name <name>', 'whose it is')
    .option('--out <file>', "where a person's private key goes")
    .action(action(cli, runCreate))

  const list = describe({
    name: 'list',
    summary: 'list signing keys',
    description: 'Lists every key that ever could sign, with its role and, where it was revoked, since when and why.',
    examples: ['chartkeep key list'],
    failures: FAILURES,
  })
  withConfiguration(list).action(action(cli, runList))

  const revoke = describe({
    name: 'revoke',
    summary: 'revoke a signing key',
    description:
      'From now, or from the moment given, nothing that this key signs counts any more. What the ledger held before that\n' +
      'moment stays valid, whatever the clock of a thief says.',
    examples: [
      'chartkeep key revoke 20260301T060000Z-1f2e3d4c --reason "laptop stolen" --from 2026-02-27T00:00:00+08:00',
    ],
    failures: FAILURES,
  })
  revoke.argument('<key>', 'its id, from `chartkeep key list`')
  withConfiguration(revoke)
    .requiredOption('--reason <text>', 'why')
    .option('--from <time>', 'since when it is not to be trusted; now when not given')
    .action(action(cli, runRevoke))
  program.addCommand(key.addCommand(create).addCommand(list).addCommand(revoke))
}

async function runCreate(cli: Cli, options: CreateOptions): Promise<void> {
  const role = SIGNER_ROLES.find((known) => known === options.role)
  if (!role) {
    throw new Failure('bad-usage', `there is no role ${options.role}`, {
      hints: [`Roles: ${SIGNER_ROLES.join(', ')}.`],
    })
  }
  const file = privateKeyFile(options, role)
  const passphrase = cli.world.variables.CHARTKEEP_KEY_PASSPHRASE
  if (file !== null && !passphrase) {
    throw new Failure('missing-secret', "no passphrase for the person's key", {
      hints: ['Set CHARTKEEP_KEY_PASSPHRASE: the private key is encrypted under it.'],
    })
  }
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  if (file !== null) await writeFile(file, '', { flag: 'wx', mode: 0o600 }).catch(refuseFile(file))
  try {
    const createdAt = new Date(cli.nowMs()).toISOString()
    const wanted = { signerId: timedId(cli.nowMs(), randomBytes(4)), name: options.name, role, createdAt }
    const deed = { actor: actorOf(cli), action: 'key.create', subject: wanted.signerId, detail: role }
    const { signer, key } = await repository.audit.around(deed, cli.nowMs, () =>
      createSigner(repository.sealed, wanted),
    )
    if (file !== null && passphrase) {
      const pem = key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
      await writeFile(file, pem)
    }
    const shown = { key: signer.signerId, role, name: signer.name, publicKey: signer.publicKey, file }
    if (options.json) return cli.terminal.out(JSON.stringify({ type: 'key', ...shown }))
    cli.terminal.out(`key         ${shown.key}  ${role}  ${shown.name}`)
    cli.terminal.out(`public key  ${shown.publicKey}`)
    if (file !== null) cli.terminal.out(`private     ${file}`)
  } catch (error) {
    if (file !== null) await rm(file, { force: true })
    throw error
  }
}

function privateKeyFile(options: CreateOptions, role: SignerRole): string | null {
  if (role === 'agent') return null
  if (options.out === undefined) {
    throw new Failure('bad-usage', "a person's key needs a file", { hints: ['Give --out FILE.'] })
  }
  return resolve(options.out)
}

async function runList(cli: Cli, options: CommonOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const signers = await repository.signers()
  if (options.json) {
    for (const { seed: _, ...signer } of signers) cli.terminal.out(JSON.stringify({ type: 'key', ...signer }))
    return
  }
  const rows = signers.map((signer) => [
    signer.signerId,
    signer.role,
    signer.name,
    signer.createdAt,
    revocationText(signer),
  ])
  for (const line of formatTable(['key', 'role', 'name', 'made', 'revoked'], rows, [])) cli.terminal.out(line)
}

function revocationText({ revocation }: KnownSigner): string {
  return revocation ? `from ${revocation.from}: ${revocation.reason}` : ''
}

async function runRevoke(cli: Cli, id: string, options: RevokeOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const signer = (await repository.signers()).find((known) => known.signerId === id)
  if (!signer || signer.revocation) {
    const why = signer ? 'is revoked already' : 'is not known'
    throw new Failure('bad-usage', `key ${id} ${why}`, { hints: ['Run `chartkeep key list`.'] })
  }
  const nowMs = cli.nowMs()
  const fromMs = options.from === undefined ? nowMs : Date.parse(options.from)
  if (Number.isNaN(fromMs)) throw new Failure('bad-usage', `'${options.from}' is not a time with its offset`)
  const revocation = {
    signerId: id,
    from: new Date(fromMs).toISOString(),
    ledgerSize: await entriesBefore(repository, fromMs),
    reason: options.reason,
    revokedAt: new Date(nowMs).toISOString(),
  }
  const deed = { actor: actorOf(cli), action: 'key.revoke', subject: id, detail: options.reason }
  await repository.audit.around(deed, cli.nowMs, () => revokeSigner(repository.sealed, revocation))
  if (options.json) return cli.terminal.out(JSON.stringify({ type: 'revocation', ...revocation }))
  cli.terminal.out(`revoked  ${id} from ${revocation.from}`)
  cli.terminal.out(`valid    the first ${revocation.ledgerSize} entries of the ledger stay as they are`)
}

/** Entries up to the first that was made at or after the moment: later ones are not believed, whatever they say. */
async function entriesBefore(repository: Repository, fromMs: number): Promise<number> {
  const { entries } = await repository.ledger.read()
  const first = entries.findIndex(({ entry }) => Date.parse(entry.time) >= fromMs)
  return first === -1 ? entries.length : first
}

function refuseFile(file: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    const why = error.code === 'EEXIST' ? 'is there already' : `cannot be written (${error.code})`
    throw new Failure('bad-usage', `${file} ${why}`, { hints: ['Name another file with --out. Nothing was made.'] })
  }
}
