import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { chooseSource } from '../config.ts'
import { Failure, failures } from '../errors.ts'
import type { Repository } from '../repository/repository.ts'
import { openRepository } from '../repository/repository-lifecycle.ts'
import { lookAtStore } from '../repository/store/look.ts'
import { openStore } from '../repository/store/open.ts'
import { sourceConnection, storeSettings, writerConnection } from '../secrets.ts'
import { examineDatabase, examineWriter, openSource } from '../source/open.ts'
import { type DoctorRequest, examine } from '../verify/doctor/doctor.ts'
import type { DoctorFinding, DoctorReport } from '../verify/doctor/looks.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { readConfiguration, unlockSecret } from './open.ts'
import { formatCount } from './terminal.ts'

interface DoctorOptions extends CommonOptions {
  readonly lang: string
}

const LANGUAGES = ['en', 'zh'] as const
type Language = (typeof LANGUAGES)[number]

const WORDS = {
  en: {
    error: 'error',
    warning: 'warning',
    notice: 'notice',
    inconclusive: 'inconclusive',
    good: 'good',
    of: 'of',
    run: 'run',
    looked: 'good',
  },
  zh: {
    error: '错误',
    warning: '警告',
    notice: '提示',
    inconclusive: '未能检查',
    good: '良好',
    of: '对象',
    run: '执行',
    looked: '正常',
  },
} as const
/** Of one check; with --json all. */
const OBJECTS_SHOWN = 12

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'doctor',
    summary: 'what is wrong, what it means, what to run',
    description:
      'Looks at the database and its settings, roles, publication and slots; at the repository, its age, keys and proofs;\n' +
      'at the configuration, the store and this machine. It changes nothing. The exit status is by the worst that was\n' +
      'found: error, then what could not be looked at, then warning; with notices alone it is 0.',
    examples: ['chartkeep doctor', 'chartkeep doctor --lang zh', 'chartkeep doctor --json'],
    failures: ['findings-failed', 'findings-inconclusive', 'findings-warned'],
  })
  withConfiguration(command).option('--lang <language>', 'en or zh', 'en').action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: DoctorOptions): Promise<void> {
  const language = LANGUAGES.find((known) => known === options.lang)
  if (language === undefined) {
    throw new Failure('bad-usage', `there is no language ${options.lang}`, { hints: ['Give --lang en or --lang zh.'] })
  }
  const opened: Repository[] = []
  try {
    const report = await examine(await requestOf(cli, options, opened))
    if (options.json) cli.terminal.out(JSON.stringify({ type: 'doctor', ...report }))
    else for (const line of linesOf(report, language)) cli.terminal.out(line)
    if (report.status === 'error') cli.setExitStatus(failures['findings-failed'].exit)
    if (report.status === 'inconclusive') cli.setExitStatus(failures['findings-inconclusive'].exit)
    if (report.status === 'warning') cli.setExitStatus(failures['findings-warned'].exit)
  } finally {
    for (const repository of opened) await repository[Symbol.asyncDispose]()
  }
}

async function requestOf(cli: Cli, options: DoctorOptions, opened: Repository[]): Promise<DoctorRequest> {
  const { world, nowMs } = cli
  const configuration = await readConfiguration(cli, options)
  const source = chooseSource(configuration, options.source)
  const settings = () => storeSettings(configuration.repository, world)
  return {
    configuration,
    source,
    world,
    nowMs,
    openRepository: async () => {
      const repository = await openWithoutTrial(cli, settings)
      opened.push(repository)
      return repository
    },
    introspect: async () => {
      await using database = await openSource(await sourceConnection(source, world))
      return await database.introspect()
    },
    examine: async (question) => await examineDatabase(await sourceConnection(source, world), question),
    examineWriter: async (question) => await examineWriter(await writerConnection(source, world), question),
    lookAtStore: async () => await lookAtStore(await settings(), nowMs),
    spill: { directory: tmpdir(), freeBytes: async () => await freeBytes(tmpdir()) },
  }
}

/** Other commands try out what the store can do, by which it is written to; this one takes it to be able to do nothing. */
async function openWithoutTrial(cli: Cli, settings: () => ReturnType<typeof storeSettings>): Promise<Repository> {
  const secret = await unlockSecret(cli.world)
  const known = await settings()
  const store = await openStore(known, { conditionalPut: false, durability: 'not asked' })
  try {
    return await openRepository(store, known, secret)
  } catch (error) {
    await store.close()
    throw error
  }
}

async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return Number(bavail) * Number(bsize)
}

function linesOf({ source, status, findings, good }: DoctorReport, language: Language): string[] {
  const words = WORDS[language]
  const lines = grouped(findings).flatMap((group) => linesOfGroup(group, language))
  return [...lines, `${words.looked}  ${formatCount(good.length)}`, `doctor  ${source}: ${words[status]}`]
}

/** Findings of one check and severity together, in the order in which they came. */
function grouped(findings: readonly DoctorFinding[]): DoctorFinding[][] {
  return [...Map.groupBy(findings, ({ id, severity }) => `${severity} ${id}`).values()]
}

function linesOfGroup(group: readonly DoctorFinding[], language: Language): string[] {
  const [first] = group
  if (first === undefined) return []
  const words = WORDS[language]
  const { title, meaning } = first[language]
  const lines = [`${words[first.severity]} ${first.id}: ${title}`]
  if (first.severity !== 'inconclusive') lines.push(`  ${meaning}`)
  for (const { objects, found } of group.slice(0, OBJECTS_SHOWN)) {
    lines.push(`  - ${[objects.slice(0, OBJECTS_SHOWN).join(', '), found].filter((text) => text !== '').join(': ')}`)
  }
  if (group.length > OBJECTS_SHOWN) lines.push(`  - … ${group.length - OBJECTS_SHOWN}`)
  for (const command of new Set(group.flatMap(({ run }) => run))) lines.push(`  ${words.run}: ${command}`)
  return lines
}
