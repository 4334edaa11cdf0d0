/**
 * Where a probe tries a directory: in a store of its own inside the temporary folder, where no listing sees it and the
 * sweep finds what a killed probe left.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { assertIsStore, createDirectoryStore, directoryOfUrl, TEMPORARY } from './directory.ts'
import { no, type ProbeCorner, unknown } from './probe-answer.ts'

export async function openDirectoryCorner(url: string, name: string): Promise<ProbeCorner> {
  const root = directoryOfUrl(url)
  await assertIsStore(root, url)
  const corner = join(root, TEMPORARY, `probe-${name}`)
  const open = async () => await createDirectoryStore(pathToFileURL(corner).href)
  const none = unknown('a directory is sent no checksum; every chunk carries its own, which is checked on reading')
  return {
    url,
    handles: [await open(), await open()],
    ownAnswers: async () => ({ checksumRefused: none, versioning: no(''), objectLock: no('') }),
    clear: async () => await rm(corner, { recursive: true, force: true }),
  }
}
