/** From the configuration to what the service is made of: captures, watches, ways to people. */
import { randomBytes } from 'node:crypto'
import { hostname, tmpdir } from 'node:os'
import { capture } from '../backup/capture/capture.ts'
import { protectionStatus } from '../backup/status.ts'
import type { Configuration, ServiceConfiguration, SourceConfiguration } from '../config.ts'
import { Failure } from '../errors.ts'
import type { Repository } from '../repository/repository.ts'
import { readSecretFile, scratchConnection, sourceConnection } from '../secrets.ts'
import type { Watch } from '../service/alarm/condition.ts'
import { mail } from '../service/alarm/mail.ts'
import type { Channel } from '../service/alarm/notifier.ts'
import { syslog } from '../service/alarm/syslog.ts'
import { postJson, type WebhookSettings, webhook } from '../service/alarm/webhook.ts'
import { parseDurationMs } from '../service/calendar/schedule.ts'
import { CaptureKeeper } from '../service/capture-keeper.ts'
import { type Kinds, usualKinds } from '../service/kinds/table.ts'
import type { KindWorld } from '../service/kinds/world.ts'
import type { ServiceMetrics } from '../service/metrics.ts'
import type { ServiceParts } from '../service/service.ts'
import type { ServiceSettings } from '../service/settings.ts'
import { freeBytesOf } from '../service/space.ts'
import { watchSpace } from '../service/watch/machine.ts'
import { watchProtection } from '../service/watch/protection.ts'
import { watchRecords } from '../service/watch/records.ts'
import type { Log, ServiceWorld } from '../service/world.ts'
import { openSource } from '../source/open.ts'
import { settingsOf } from './capture.ts'
import type { Cli } from './command.ts'
import { actorOf } from './open.ts'
import { retentionOf } from './prune.ts'

export interface ServeParts {
  readonly cli: Cli
  readonly configuration: Configuration
  readonly repository: Repository
  readonly log: Log
}

export function serviceWorld(cli: Cli): ServiceWorld {
  const { nowMs, sleep } = cli
  return { nowMs, sleep, random: randomBytes, host: actorOf(cli), temporaryDirectory: tmpdir() }
}

export function kindsOf({ cli, configuration }: ServeParts): Kinds {
  const connectionOf = (source: SourceConfiguration) => sourceConnection(source, cli.world)
  const world: KindWorld = {
    ...serviceWorld(cli),
    sources: configuration.sources,
    connectionOf,
    scratchOf: (source) => scratchConnection(source, cli.world),
    openSource: async (source) => await openSource(await connectionOf(source)),
    retention: retentionOf(configuration),
    scrubBytesMax: configuration.service.jobs.scrub?.bytesMax ?? null,
  }
  return usualKinds(world)
}

export function capturesOf(parts: ServeParts): ServiceParts['captures'] {
  const { cli, configuration, repository, log } = parts
  if (!configuration.service.capture) return () => []
  return (metrics) =>
    configuration.sources.map((source) => {
      const world = serviceWorld(cli)
      return new CaptureKeeper({
        source: source.name,
        capture: (onEvent, signal) => captureOf(parts, source, { onEvent, signal, metrics }),
        audit: repository.audit,
        world,
        log,
      })
    })
}

async function captureOf(
  { cli, repository }: ServeParts,
  source: SourceConfiguration,
  { onEvent, signal, metrics }: { onEvent: CaptureListener; signal: AbortSignal; metrics: ServiceMetrics },
): Promise<void> {
  const connection = await sourceConnection(source, cli.world)
  await capture({
    repository,
    sourceName: source.name,
    openSource: () => openSource(connection),
    layout: source,
    settings: settingsOf(source.capture),
    spillDirectory: tmpdir(),
    holder: actorOf(cli),
    nowMs: cli.nowMs,
    sleep: cli.sleep,
    random: randomBytes,
    onEvent: (event) => {
      if (event.kind === 'sealed') metrics.sealed(source.name, event.lagMs)
      onEvent(event)
    },
    signal,
  })
}

type CaptureListener = Parameters<ConstructorParameters<typeof CaptureKeeper>[0]['capture']>[0]

export function watchesOf(
  { cli, configuration, repository }: ServeParts,
  { lagMsMax }: ServiceSettings,
): ServiceParts['watches'] {
  const { freeBytesMin, expiryDays } = configuration.service.alarms
  const { url } = configuration.repository
  return (metrics): Watch[] => [
    ...configuration.sources.map((source) =>
      watchProtection({
        source: source.name,
        lagMsMax,
        status: () =>
          protectionStatus({
            repository,
            sourceName: source.name,
            layout: source,
            openSource: async () => await openSource(await sourceConnection(source, cli.world)),
            nowMs: cli.nowMs,
          }),
        onStatus: (status) => metrics.status(status),
      }),
    ),
    watchSpace({ place: { en: 'the store', zh: '存储' }, freeBytesMin, freeBytes: () => freeBytesOf(url) }),
    watchSpace({
      place: { en: 'the directory for sorting', zh: '排序用的临时目录' },
      freeBytesMin,
      freeBytes: () => freeBytesOf(`file://${tmpdir()}`),
    }),
    watchRecords({ repository, expiryDays, nowMs: cli.nowMs }),
  ]
}

/** @throws bad-configuration, missing-secret: before anything is begun */
export async function channelsOf({ cli, configuration }: ServeParts): Promise<Channel[]> {
  const { alarms } = configuration.service
  const { language } = alarms
  const channels: Channel[] = []
  if (alarms.webhook)
    channels.push(webhook(await webhookSettings(cli, alarms.webhook, 'service.alarms.webhook'), fetch))
  if (alarms.mail) {
    const { caFile, passwordFile, user = null, ...rest } = alarms.mail
    const password = await secretOf(cli, passwordFile, 'service.alarms.mail.passwordFile')
    const caPem = await secretOf(cli, caFile, 'service.alarms.mail.caFile')
    channels.push(mail({ ...rest, user, password, caPem }, language))
  }
  if (alarms.syslog) {
    const { caFile, ...rest } = alarms.syslog
    channels.push(syslog({ ...rest, caPem: await secretOf(cli, caFile, 'service.alarms.syslog.caFile') }, language))
  }
  return channels
}

/** A sign of life for whoever watches from outside: when none comes, that is the alarm (F29). */
export async function heartbeatOf({ cli, configuration }: ServeParts): Promise<ServiceParts['heartbeat']> {
  const { heartbeat } = configuration.service.alarms
  if (!heartbeat) return null
  const settings = await webhookSettings(cli, heartbeat, 'service.alarms.heartbeat')
  const beat = async (signal: AbortSignal) => {
    const at = new Date(cli.nowMs()).toISOString()
    await postJson(settings, { type: 'alive', host: hostname(), at }, fetch, signal)
  }
  return { everyMs: parseDurationMs(heartbeat.every, 'service.alarms.heartbeat.every'), beat }
}

type WebhookConfiguration = NonNullable<ServiceConfiguration['alarms']['webhook']>

async function webhookSettings(cli: Cli, given: WebhookConfiguration, what: string): Promise<WebhookSettings> {
  const url = given.url ?? (await secretOf(cli, given.urlFile, `${what}.urlFile`)) ?? ''
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new Failure('bad-configuration', `${what}: the address is no address of the web`)
  }
  return { url, secret: await secretOf(cli, given.secretFile, `${what}.secretFile`) }
}

async function secretOf(cli: Cli, path: string | undefined, what: string): Promise<string | null> {
  return path === undefined ? null : await readSecretFile(path, what, cli.world)
}
