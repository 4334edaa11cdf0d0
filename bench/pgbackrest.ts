/**
 * pgBackRest on the same cluster, where it is installed: what hospitals would use instead. Its repository is a directory
 * beside ours, compressed by zstd, with bundles, by two processes.
 */
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Measured } from './measure.ts'
import { directoryBytes, isInstalled, type Stage } from './stage.ts'

const STANZA = 'icu'

export interface PgBackRestRun {
  readonly measured: Measured
  /** What it added to its repository. */
  readonly bytes: number
}

/** Null when there is none. The first backup of a stage is a full one, whatever is asked for. */
export async function pgBackRest(stage: Stage, type: 'full' | 'incr'): Promise<PgBackRestRun | null> {
  if (!isInstalled('pgbackrest')) return null
  const directory = join(stage.directory, 'pgbackrest')
  const command = `pgbackrest --config=${join(directory, 'pgbackrest.conf')} --stanza=${STANZA}`
  if (await mkdir(directory, { recursive: true })) {
    await writeFile(join(directory, 'pgbackrest.conf'), configuration(stage, directory))
    // It comes by the socket, by which nobody else comes here.
    await appendFile(join(stage.server.dataDirectory, 'pg_hba.conf'), 'local all all trust\n')
    await stage.sql('SELECT pg_reload_conf()')
    await stage.run(`${command} stanza-create > /dev/null`)
  }
  const before = await directoryBytes(directory)
  const measured = await stage.run(`${command} --type=${type} backup > /dev/null`)
  return { measured, bytes: (await directoryBytes(directory)) - before }
}

function configuration({ server, url, socketDirectory }: Stage, directory: string): string {
  const { port, username } = new URL(url)
  return `[global]
repo1-path=${directory}/repository
repo1-bundle=y
log-path=${directory}/log
lock-path=${directory}/lock
log-level-console=warn
log-level-file=off
compress-type=zst
compress-level=1
process-max=2
start-fast=y
archive-check=n
[${STANZA}]
pg1-path=${server.dataDirectory}
pg1-port=${port}
pg1-socket-path=${socketDirectory}
pg1-user=${username}
`
}
