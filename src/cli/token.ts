import { randomBytes } from 'node:crypto'
import { Command } from 'commander'
import { Failure } from '../errors.ts'
import { createToken, type KnownToken, readTokens, revokeToken, TOKEN_ROLES } from '../repository/access/tokens.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatTable } from './terminal.ts'

interface CreateOptions extends CommonOptions {
  readonly role: string
  readonly person: string
  readonly expires: string
}

interface RevokeOptions extends CommonOptions {
  readonly reason: string
}

const FAILURES = ['missing-secret', 'wrong-key', 'repository-not-found', 'store-unreachable'] as const
const DAY_MS = 86_400_000
/** A token that is never renewed is one of which nobody knows any more who has it. */
const LIFE_DAYS_MAX = 366

export function register(program: Command, cli: Cli): void {
  const token = new Command('token').summary('who may use the API').exitOverride()
  token.description('Tokens of the API of `chartkeep serve`. The repository keeps their digests only.')

  const create = describe({
    name: 'create',
    summary: 'make a token, and show it once',
    description:
      'viewer sees how well sources are protected; operator also looks at patients, plans, applies and starts jobs;\n' +
      'approver sees plans and approves them with a key of their own; auditor reads who did what. The person is who stands\n' +
      'in plans and in the audit: nobody approves what they asked for or carry out, whatever token they use.',
    examples: [
      'chartkeep token create --role operator --person "Wang Fang" --expires 90d',
      'chartkeep token create --role viewer --person monitoring --expires 365d --json',
    ],
    failures: FAILURES,
  })
  withConfiguration(create)
    .requiredOption('--role <role>', TOKEN_ROLES.join(', '))
    .requiredOption('--person <name>', 'whose it is')
    .option('--expires <days>', `when it ends: 1d to ${LIFE_DAYS_MAX}d`, '90d')
    .action(action(cli, runCreate))

  const list = describe({
    name: 'list',
    summary: 'list tokens',
    description: 'Lists every token that ever was, with its role and person, and whether it can still be used.',
    examples: ['chartkeep token list'],
    failures: FAILURES,
  })
  withConfiguration(list).action(action(cli, runList))

  const revoke = describe({
    name: 'revoke',
    summary: 'end a token now',
    description: 'A service that runs refuses it within seconds.',
    examples: ['chartkeep token revoke 20260301T060000Z-1f2e3d4c --reason "left the hospital"'],
    failures: [...FAILURES, 'not-found'],
  })
  revoke.argument('<token>', 'its id, from `chartkeep token list`')
  withConfiguration(revoke).requiredOption('--reason <text>', 'why').action(action(cli, runRevoke))
  program.addCommand(token.addCommand(create).addCommand(list).addCommand(revoke))
}

async function runCreate(cli: Cli, options: CreateOptions): Promise<void> {
  const role = TOKEN_ROLES.find((known) => known === options.role)
  if (!role) {
    throw new Failure('bad-usage', `there is no role ${options.role}`, { hints: [`Roles: ${TOKEN_ROLES.join(', ')}.`] })
  }
  const person = options.person.trim()
  if (person === '' || person.length > 100) {
    throw new Failure('bad-usage', 'a person is named by 1 to 100 characters', { hints: ['Give --person NAME.'] })
  }
  const nowMs = cli.nowMs()
  const expiresMs = nowMs + lifeDays(options.expires) * DAY_MS
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const deed = { actor: actorOf(cli), action: 'token.create', subject: '', detail: `${role} for ${person}` }
  const { token, shownOnce } = await repository.audit.around(
    deed,
    cli.nowMs,
    () => createToken(repository.sealed, { role, person, nowMs, expiresMs, random: randomBytes }),
    (made) => made.token.tokenId,
  )
  const { tokenId, expiresAt } = token
  if (options.json) {
    return cli.terminal.out(JSON.stringify({ type: 'token', tokenId, role, person, expiresAt, token: shownOnce }))
  }
  cli.terminal.out(`token    ${tokenId}  ${role}  ${person}, until ${expiresAt}`)
  cli.terminal.out(`secret   ${shownOnce}`)
  cli.terminal.out('It is shown this once. Send it as `Authorization: Bearer …`.')
}

async function runList(cli: Cli, options: CommonOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const tokens = await readTokens(repository.sealed)
  if (options.json) {
    for (const { secretSha256: _, ...token } of tokens) cli.terminal.out(JSON.stringify({ type: 'token', ...token }))
    return
  }
  const rows = tokens.map((token) => [
    token.tokenId,
    token.role,
    token.person,
    token.expiresAt,
    stateOf(token, cli.nowMs()),
  ])
  for (const line of formatTable(['token', 'role', 'person', 'until', ''], rows, [])) cli.terminal.out(line)
}

function stateOf({ revocation, expiresAt }: KnownToken, nowMs: number): string {
  if (revocation) return `revoked ${revocation.revokedAt}: ${revocation.reason}`
  return Date.parse(expiresAt) <= nowMs ? 'expired' : ''
}

async function runRevoke(cli: Cli, tokenId: string, { reason, ...options }: RevokeOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const revocation = { tokenId, revokedAt: new Date(cli.nowMs()).toISOString(), reason }
  const deed = { actor: actorOf(cli), action: 'token.revoke', subject: tokenId, detail: reason }
  await repository.audit.around(deed, cli.nowMs, () => revokeToken(repository.sealed, revocation))
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'token', tokenId, revoked: true }))
  else cli.terminal.out(`revoked  ${tokenId}`)
}

/** @throws bad-usage */
function lifeDays(text: string): number {
  const days = Number(/^(\d{1,3})d$/.exec(text)?.[1] ?? 0)
  if (days >= 1 && days <= LIFE_DAYS_MAX) return days
  throw new Failure('bad-usage', `${text} is not a number of days from 1d to ${LIFE_DAYS_MAX}d`, {
    hints: ['Write it as 90d.'],
  })
}
