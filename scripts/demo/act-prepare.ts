/** Before anything can be backed up: a hospital's database, a role that may read it, a configuration, a repository. */
import { writeFile } from 'node:fs/promises'
import { createReferenceDatabase } from '../reference/create.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import { runAsAdministrator } from './databases.ts'
import { formatCount } from './format.ts'
import { type DemoOptions, fromCheckout, ROLE, SEED, type Stage } from './stage.ts'
import type { Story } from './story.ts'

const DATABASE = 'icu'
const LINES_SHOWN = 12

/** @returns its URL, as the administrator */
export async function makeDatabase(story: Story, server: PostgresServer, options: DemoOptions): Promise<string> {
  const { rows } = options
  const work = async () => {
    const url = await server.createDatabase(DATABASE)
    return { url, ...(await createReferenceDatabase({ url, seed: SEED, ...(rows ? { rows } : { size: 'XS' }) })) }
  }
  const made = await story.does(
    'database',
    work,
    ({ rows, tables }) => `${formatCount(rows)} invented rows in ${Object.keys(tables).length} tables, seed ${SEED}`,
  )
  return made.url
}

/** The first commands of anybody: role, configuration, repository. */
export async function setUp({ story, places, server, sourceUrl }: Stage, password: string): Promise<void> {
  const url = `postgres://${ROLE}@127.0.0.1:${server.port}/${DATABASE}`
  const redirection = (place: string) => ({ redirection: `> ${place}` })

  const script = await story.types('role', ['setup-sql', url], redirection(places.setupSql))
  await writeFile(fromCheckout(places.setupSql), script)
  await runAsAdministrator(sourceUrl, script, { role: ROLE, password })
  story.print('  run by the administrator, who also set a password')

  const discover = ['discover', url, '--repo', places.repositoryUrl]
  const draft = await story.types('discover', discover, redirection(places.configuration))
  await writeFile(fromCheckout(places.configuration), draft)
  for (const line of draft.split('\n').slice(0, LINES_SHOWN)) story.print(`  | ${line}`)
  story.print(`  | …`)

  await story.types('init', ['init', '--config', places.configuration, '--recovery-sheet', places.recoverySheet])
}
