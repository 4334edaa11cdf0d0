/**
 * Giving a written file its name without ever replacing another: what makes a put exclusive in a directory.
 *
 * link(2) does it in one step, between processes and machines. Some file systems (FAT, many SMB shares) have no hard
 * links. There a writer first claims the key by making a folder, which is exclusive everywhere, looks whether the name
 * is free, and renames. A claim of a writer that died is taken over after an hour; because that rests on clocks, and a
 * machine may sleep for an hour, such a store does not say that its put is conditional.
 */
import { createHash, randomBytes } from 'node:crypto'
import { link, lstat, mkdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../../errors.ts'
import { systemCode } from './directory-failure.ts'

/** Gives `temporary` the name `target`. @throws an error with code EEXIST when the name is taken */
export type GiveName = (temporary: string, target: string) => Promise<void>

const errorsOfNoLinks = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL']
const STALE_CLAIM_MS = 60 * 60 * 1000
const CLAIM_POLL_MS = 20
const CLAIM_WAIT_MS = 30_000

/** Tried, because a mount does not say what it can do. Where we may not write, nothing hangs on the answer. */
export async function canLinkIn(folder: string): Promise<boolean> {
  const name = join(folder, `link-${randomBytes(12).toString('hex')}`)
  try {
    await writeFile(name, '', { flag: 'wx' })
    await link(name, `${name}-2`)
    return true
  } catch (error) {
    return !errorsOfNoLinks.includes(systemCode(error))
  } finally {
    await rm(name, { force: true }).catch(() => undefined)
    await rm(`${name}-2`, { force: true }).catch(() => undefined)
  }
}

export function nameByLink(): GiveName {
  return async (temporary, target) => await link(temporary, target)
}

export function nameByClaim(folder: string): GiveName {
  return async (temporary, target) => {
    const claim = join(folder, `claim-${createHash('sha256').update(target).digest('hex').slice(0, 32)}`)
    await takeClaim(claim)
    try {
      if (await isThere(target)) throw Object.assign(new Error('the name is taken'), { code: 'EEXIST' })
      await rename(temporary, target)
    } finally {
      await rmdir(claim)
    }
  }
}

/** Waits for whoever holds it: a key is not taken before its writer has succeeded. */
async function takeClaim(claim: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < CLAIM_WAIT_MS; waitedMs += CLAIM_POLL_MS) {
    try {
      return await mkdir(claim)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
    }
    const held = await lstat(claim).catch(() => null)
    if (held && Date.now() - held.mtimeMs > STALE_CLAIM_MS) await rmdir(claim).catch(() => undefined)
    else await sleep(CLAIM_POLL_MS)
  }
  throw new Failure('store-unreachable', `another writer has held one key for ${CLAIM_WAIT_MS / 1000} s`)
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}
