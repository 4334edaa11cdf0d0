/**
 * Makes a data directory in a fifth of the time of `initdb`: a template for each build and encoding is made once, and
 * copied for each server.
 *
 * A copy has the system identifier of its template, and chartkeep tells databases apart by it (P5): two servers of one
 * test would pass for one and the same. So each copy gets an identifier of its own, written where PostgreSQL keeps it:
 * the first eight bytes of `global/pg_control`, which ends in a CRC-32C, and the header of the first WAL page.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../../../errors.ts'
import { type PostgresBinaries, renameUnlessThere, runtimeDirectory } from './binaries.ts'
import { runTool, type ServerAccount } from './run-tool.ts'

export interface ClusterOptions {
  readonly binaries: PostgresBinaries
  readonly encoding: string
  readonly account: ServerAccount | null
}

/** Where `xlp_sysid` stands in the long header of a segment's first page, in every version from 13 to 18. */
const WAL_SYSTEM_ID_OFFSET = 24
/** `ControlFileData` is smaller than this in every version; the rest of the file is zeros. */
const CONTROL_DATA_BYTES_MAX = 512

/** Makes the data directory `path`, which must not exist, owned by the server's account. */
export async function createCluster(path: string, options: ClusterOptions): Promise<void> {
  const { binaries, encoding, account } = options
  const template = join(runtimeDirectory(), 'templates', `${binaries.build}-${encoding}-${account?.uid ?? 'self'}`)
  if (!existsSync(template)) await createTemplate(template, options)
  await runTool('cp', ['-R', template, path])
  await writeSystemIdentifier(path)
  await chmod(path, 0o700)
  if (account !== null) await runTool('chown', ['-R', `${account.uid}:${account.gid}`, path])
}

async function createTemplate(template: string, { binaries, encoding, account }: ClusterOptions): Promise<void> {
  const scratch = await mkdtemp(`${template}.new-`)
  try {
    const made = join(scratch, 'data')
    await mkdir(made, { mode: 0o700 })
    await chmod(scratch, 0o755)
    if (account !== null) await chown(made, account.uid, account.gid)
    const options = ['--no-sync', `--encoding=${encoding}`, '--locale=C', '--auth=trust', '--username=postgres']
    await runTool(join(binaries.binDirectory, 'initdb'), [...options, `--pgdata=${made}`], account)
    await renameUnlessThere(made, template)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function writeSystemIdentifier(dataDirectory: string): Promise<void> {
  // Positive as a signed number, which is how PostgreSQL prints it in places.
  const identifier = randomBytes(8)
  identifier[7] = 0x60 | (identifier[7]! & 0x0f)
  const controlFile = join(dataDirectory, 'global', 'pg_control')
  await writeFile(controlFile, withIdentifier(await readFile(controlFile), identifier))

  const walDirectory = join(dataDirectory, 'pg_wal')
  for (const name of await readdir(walDirectory)) {
    if (!/^[0-9A-F]{24}$/.test(name)) continue
    await using segment = await open(join(walDirectory, name), 'r+')
    await segment.write(identifier, 0, identifier.length, WAL_SYSTEM_ID_OFFSET)
  }
}

/** Versions differ in where the CRC stands: it is where the four bytes equal the CRC of everything before them. */
function withIdentifier(control: Buffer, identifier: Buffer): Buffer {
  for (let end = 32; end < CONTROL_DATA_BYTES_MAX; end += 4) {
    if (control.readUInt32LE(end) !== crc32c(control.subarray(0, end))) continue
    const changed = Buffer.from(control)
    identifier.copy(changed, 0)
    changed.writeUInt32LE(crc32c(changed.subarray(0, end)), end)
    return changed
  }
  throw new Failure('unsupported-server', 'no checksum found in pg_control')
}

/** CRC-32C (Castagnoli), bit by bit: it runs over some 300 bytes. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}
