/**
 * The questions, one function each, in the order in which they are asked: each leaves behind what the next one needs.
 * Tools that this machine does not have are passed over; the results say so.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Measured } from './measure.ts'
import { pgBackRest } from './pgbackrest.ts'
import { directoryBytes, type Finding, isInstalled, type Stage } from './stage.ts'

export type Question = (stage: Stage) => Promise<Finding[]>

/** How long does a base snapshot take, and how much does it store, beside COPY and pg_dump of the same tables? */
export const base: Question = async (stage) => {
  const question = 'base'
  const findings: Finding[] = []
  if (isInstalled('psql')) {
    findings.push(found(question, 'psql: COPY of every table to /dev/null', await copyAll(stage)))
  }
  const sheet = join(stage.directory, 'sheet.txt')
  await stage.chartkeep(`init --recovery-sheet ${sheet}`)
  const backup = await stage.chartkeep('backup')
  findings.push(found(question, 'chartkeep backup', backup, await directoryBytes(stage.repository)))
  if (isInstalled('pg_dump')) {
    for (const level of [1, 6]) findings.push(await dump(stage, question, level))
  }
  const whole = await pgBackRest(stage, 'full')
  if (whole) findings.push(found(question, 'pgbackrest backup --type=full', whole.measured, whole.bytes))
  return findings
}

/** What does the next snapshot cost when a thousandth of the rows changed, as wards change them and scattered? */
export const fullRead: Question = async (stage) => {
  const question = 'full-read'
  const findings: Finding[] = []
  await stage.sql(recentChanges(stage.rows))
  findings.push(await increment(stage, question, 'chartkeep backup, the latest 0.1 % of the vital signs corrected'))
  await stage.sql(scatteredChanges())
  findings.push(await increment(stage, question, 'chartkeep backup, 0.1 % of the rows changed all over the year'))
  findings.push(await increment(stage, question, 'chartkeep backup, nothing changed'))
  return findings
}

/** How long until rows, keys and indexes are there again, beside pg_restore? */
export const restore: Question = async (stage) => {
  const question = 'restore'
  const findings: Finding[] = []
  const dumped = join(stage.directory, 'dump-6')
  if (isInstalled('pg_restore') && isInstalled('pg_dump')) {
    const target = await stage.server.createDatabase('restored_by_pg')
    const restored = await stage.run(`${stage.client('pg_restore')} -j2 --no-owner -d '${target}' ${dumped}`)
    findings.push(found(question, 'pg_restore -j2', restored))
    await stage.sql('DROP DATABASE restored_by_pg')
  }
  const target = await stage.server.createDatabase('restored_by_chartkeep')
  const restored = await stage.chartkeep(`restore database --at latest --into '${target}'`)
  const usable = restored.seconds - provedIn(restored.stdout)
  const until = { ...restored, seconds: usable, cpuSeconds: null, serverCpuSeconds: null, peakMiB: null }
  findings.push(found(question, 'chartkeep restore database, until rows, keys and indexes are usable', until))
  findings.push(found(question, 'the same, until statistics are gathered and all roots compared', restored))
  await stage.sql('DROP DATABASE restored_by_chartkeep')
  return findings
}

/** Seconds from 'usable' on, as the command says; all that was before, its own start included, counts as not usable. */
function provedIn(stdout: string): number {
  for (const line of stdout.split('\n')) {
    const event: unknown = line.startsWith('{') ? JSON.parse(line) : null
    if (event && typeof event === 'object' && 'secondsProof' in event) return Number(event.secondsProof)
  }
  throw new Error('the restore did not say how long its proof took')
}

/** How long does it take to read and prove every byte, beside restic's check of the same rows as text? */
export const scrub: Question = async (stage) => {
  const question = 'scrub'
  const findings = [
    found(question, 'chartkeep scrub --depth bytes', await stage.chartkeep('scrub --depth bytes')),
    found(question, 'chartkeep scrub', await stage.chartkeep('scrub')),
  ]
  if (isInstalled('restic') && isInstalled('psql')) findings.push(...(await resticCheck(stage, question)))
  return findings
}

function found(question: string, what: string, measured: Measured, bytes: number | null = null): Finding {
  return { question, what, measured, bytes }
}

/** One connection for each table, one after the other: what everybody would do by hand. */
async function copyAll(stage: Stage): Promise<Measured> {
  const commands = stage.tables.map(
    (table) => `${stage.client('psql')} -Xqc 'COPY ${shellSafe(table)} TO STDOUT' '${stage.url}' > /dev/null`,
  )
  return await stage.run(commands.join(' && '))
}

function shellSafe(text: string): string {
  return text.replaceAll("'", `'\\''`)
}

async function dump(stage: Stage, question: string, level: number): Promise<Finding> {
  const directory = join(stage.directory, `dump-${level}`)
  await rm(directory, { recursive: true, force: true })
  const measured = await stage.run(`${stage.client('pg_dump')} -Fd -j2 -Z${level} -f ${directory} '${stage.url}'`)
  return found(question, `pg_dump -Fd -j2 -Z${level}`, measured, await directoryBytes(directory))
}

async function increment(stage: Stage, question: string, what: string): Promise<Finding> {
  const before = await directoryBytes(stage.repository)
  const measured = await stage.chartkeep('backup')
  return found(question, what, measured, (await directoryBytes(stage.repository)) - before)
}

/** Ids grow with time: the highest are the latest hours of the patients who are there now. */
function recentChanges(rows: number): string {
  const changed = Math.ceil(rows / 1000)
  return `UPDATE public.vital_sign SET value = value + 0.1
    WHERE vital_id > (SELECT max(vital_id) FROM public.vital_sign) - ${changed}`
}

function scatteredChanges(): string {
  return 'UPDATE public.vital_sign SET value = value + 0.1 WHERE vital_id % 200 = 7'
}

async function resticCheck(stage: Stage, question: string): Promise<Finding[]> {
  const text = join(stage.directory, 'text')
  const repository = join(stage.directory, 'restic')
  await mkdir(text)
  const commands = stage.tables.map(
    (table, index) =>
      `${stage.client('psql')} -Xqc 'COPY ${shellSafe(table)} TO STDOUT' '${stage.url}' > ${text}/${index}`,
  )
  await stage.run(commands.join(' && '))
  const restic = (line: string) => stage.run(`RESTIC_PASSWORD=benchmark restic -q --no-cache -r ${repository} ${line}`)
  await restic('init')
  const saved = await restic(`backup ${text}`)
  const checked = await restic('check --read-data')
  return [
    found(question, 'restic backup of the same rows as text', saved, await directoryBytes(repository)),
    found(question, 'restic check --read-data', checked),
  ]
}
