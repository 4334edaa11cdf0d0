import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import type { AnsweredRequest } from '../api/dependencies.ts'
import type { ApiServer } from '../api/server.ts'
import { Failure, fromFailureRecord, toFailureRecord } from '../errors.ts'
import { jsonLog } from '../service/log.ts'
import { ChartkeepService } from '../service/service.ts'
import { serviceSettings } from '../service/settings.ts'
import type { Log } from '../service/world.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { openConfiguredRepository, readConfiguration } from './open.ts'
import {
  capturesOf,
  channelsOf,
  heartbeatOf,
  kindsOf,
  type ServeParts,
  serviceWorld,
  watchesOf,
} from './serve-parts.ts'

interface ServeOptions extends CommonOptions {
  readonly listen: string
  readonly api: boolean
  readonly tlsCertificate?: string
  readonly tlsKeyFile?: string
}

/** Requests that run are let end for so long when the service stops. */
const API_GRACE_MS = 10_000
const TLS_READ_EVERY_MS = 60 * 60_000

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'serve',
    summary: 'the service: captures, does what is due, raises alarms, answers',
    description:
      'Runs until it is stopped. Follows the changes of every source, does what `service.jobs` of the configuration says when\n' +
      'it is due, tells people by `service.alarms` of what is wrong until somebody acknowledges it, and answers the API.\n' +
      'All it knows lies in the repository: it can be killed, and started on another machine; of two, one stands by.\n' +
      'As with `capture`, whoever else wants the processor has it first.\n' +
      'Its log goes to stdout, one JSON object a line. Stop it with SIGTERM: what runs is told to end first.',
    examples: [
      'chartkeep serve',
      'chartkeep serve --config /etc/chartkeep.yaml --listen 0.0.0.0:8443 --tls-certificate icu.crt --tls-key-file icu.key',
    ],
    failures: ['missing-secret', 'wrong-key', 'repository-not-found', 'store-unreachable', 'job-stalled'],
  })
  withConfiguration(command)
    .option('--listen <address>', 'where the API answers', '127.0.0.1:8080')
    .option('--no-api', 'do not answer at all')
    .option('--tls-certificate <file>', 'PEM; needed to listen on more than this machine')
    .option('--tls-key-file <file>', 'PEM of its key')
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: ServeOptions): Promise<void> {
  cli.giveWay()
  const tls = tlsOf(options)
  const configuration = await readConfiguration(cli, options)
  const log = jsonLog({ write: (line) => cli.terminal.out(line.trimEnd()) }, cli.nowMs)
  await using repository = await openConfiguredRepository(cli, configuration)
  const parts: ServeParts = { cli, configuration, repository, log }
  const kinds = kindsOf(parts)
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const about = { kinds, repositoryId: repository.id, zone, nowMs: cli.nowMs() }
  const settings = serviceSettings(configuration, about)
  const service = new ChartkeepService({
    repository,
    settings,
    kinds,
    captures: capturesOf(parts),
    watches: watchesOf(parts, settings),
    channels: await channelsOf(parts),
    heartbeat: await heartbeatOf(parts),
    world: serviceWorld(cli),
    log,
    signal: cli.signal,
  })
  const server = options.api ? await answer(parts, service, options.listen, tls) : null
  try {
    await service.run()
  } catch (error) {
    endProcess(cli, error)
  } finally {
    await server?.close(API_GRACE_MS)
  }
}

async function answer(
  { cli, configuration, repository, log }: ServeParts,
  service: ChartkeepService,
  address: string,
  tls: TlsPair,
) {
  // Loaded when it is wanted: most of what a start costs.
  const { createApi } = await import('../api/application.ts')
  const { listen } = await import('../api/server.ts')
  const app = createApi({
    configuration,
    repository,
    service,
    world: cli.world,
    temporaryDirectory: tmpdir(),
    nowMs: cli.nowMs,
    random: randomBytes,
    signal: cli.signal,
    onAnswered: (record: AnsweredRequest) => log({ level: 'info', event: 'api.answered', ...record }),
  })
  const server = await listen({ app, listen: address, tls })
  log({ level: 'info', event: 'api.listens', address: server.url })
  if (tls) void renewTls(cli, server, log)
  return server
}

/** A certificate that was renewed in its file serves within the hour: nobody has to end captures for it. */
async function renewTls({ sleep, signal }: Cli, server: ApiServer, log: Log): Promise<void> {
  while (!signal.aborted) {
    await sleep(TLS_READ_EVERY_MS, signal).catch(() => {})
    if (signal.aborted) return
    try {
      await server.reloadTls()
    } catch (error) {
      const { code, message } = toFailureRecord(error)
      log({ level: 'warn', event: 'api.certificate-not-read', code, message })
    }
  }
}

type TlsPair = { readonly certificateFile: string; readonly keyFile: string } | null

function tlsOf({ tlsCertificate: certificateFile, tlsKeyFile: keyFile }: ServeOptions): TlsPair {
  if (certificateFile === undefined && keyFile === undefined) return null
  if (certificateFile !== undefined && keyFile !== undefined) return { certificateFile, keyFile }
  throw new Failure('bad-usage', 'a certificate and its key go together', {
    hints: ['Give --tls-certificate and --tls-key-file.'],
  })
}

/** What stands still holds the process: whoever supervises it starts another, which carries on. */
function endProcess(cli: Cli, error: unknown): never {
  const failure = error instanceof Failure ? error : fromFailureRecord(toFailureRecord(error))
  cli.terminal.err(`${failure.code}: ${failure.message}`)
  process.exit(failure.exitStatus)
}
