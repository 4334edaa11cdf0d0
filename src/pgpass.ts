/**
 * The password file of PostgreSQL's own programs: lines `host:port:database:user:password`, the first that fits wins,
 * `*` fits anything, a backslash escapes a colon or a backslash. PGPASSFILE names it, else it is `~/.pgpass`.
 *
 * libpq ignores a file that others may read and warns about it. A backup at night shows warnings to nobody, so a
 * password that such a file would have given is an error instead.
 */
import { join } from 'node:path'
import { parseDatabaseUrl } from './database-url.ts'
import { Failure } from './errors.ts'
import type { World } from './world.ts'

const DEFAULT_PORT = '5432'
const OTHERS_MODE_BITS = 0o077

/** @returns null when no line fits */
export async function findPgpassPassword(url: string, world: World): Promise<string | null> {
  const path = world.variables.PGPASSFILE || join(world.homeDirectory, '.pgpass')
  const content = await world.readTextFile(path)
  if (content === null) return null
  const password = matchPgpass(content, connectionFields(url, world))
  if (password !== null) await refuseOpenFile(path, world)
  return password
}

/** `wanted`: host, port, database, user. */
export function matchPgpass(content: string, wanted: readonly string[]): string | null {
  for (const line of content.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const fields = splitFields(line)
    if (fields.length < 5) continue
    if (wanted.every((value, index) => fields[index] === '*' || unescapeField(fields[index]!) === value)) {
      return unescapeField(fields[4]!)
    }
  }
  return null
}

/** What libpq would look for; a socket directory counts as localhost. */
function connectionFields(url: string, world: World): string[] {
  const parsed = parseDatabaseUrl(url)
  const parameter = (name: string) => parsed.searchParams.get(name)
  const host = parameter('host') ?? parsed.hostname.replace(/^\[|\]$/g, '')
  const user = decodeURIComponent(parsed.username) || parameter('user') || world.variables.PGUSER || world.userName
  const database = decodeURIComponent(parsed.pathname.slice(1)) || parameter('dbname') || user
  const port = parsed.port || parameter('port') || world.variables.PGPORT || DEFAULT_PORT
  return [host === '' || host.startsWith('/') ? 'localhost' : host, port, database, user]
}

/** At colons that no backslash escapes; the escapes stay, because an escaped `*` is no wildcard. */
function splitFields(line: string): string[] {
  const fields: string[] = []
  let field = ''
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === ':') {
      fields.push(field)
      field = ''
    } else if (line[at] === '\\') {
      field += line.slice(at, at + 2)
      at += 1
    } else field += line[at]
  }
  return [...fields, field]
}

function unescapeField(field: string): string {
  return field.replaceAll(/\\(.)/g, '$1')
}

async function refuseOpenFile(path: string, world: World): Promise<void> {
  const mode = await world.fileMode(path)
  if (mode === null || (mode & OTHERS_MODE_BITS) === 0) return
  const shown = `0${(mode & 0o777).toString(8)}`
  throw new Failure('missing-secret', `password file ${path} is open to others: mode ${shown}, expected 0600`, {
    hints: [`Run \`chmod 600 ${path}\`.`],
  })
}
