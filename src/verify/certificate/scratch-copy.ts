/** A database of our own for the copy that a certificate is tried on; gone with everything in it afterwards. */
import { Failure } from '../../errors.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { ConnectionSettings } from '../../source/contract.ts'
import { openScratchServer } from '../../source/open.ts'
import type { ScratchDatabase } from './issue.ts'

const PASSWORD_BYTES = 24

/**
 * @param url of the source: which kind of server it is
 * @param on as `ScratchWish`
 * @throws bad-configuration, unsupported-server, source-failed; on disposal target-failed, when something of it is left
 */
export async function openScratchCopy(
  { url, on }: { readonly url: string; readonly on: ConnectionSettings | null },
  { source }: Manifest,
  { random, nowMs }: { readonly random: (bytes: number) => Uint8Array; readonly nowMs: () => number },
): Promise<ScratchDatabase> {
  const { serverVersionNumber, encoding } = source
  const password = Buffer.from(random(PASSWORD_BYTES)).toString('base64url')
  const server = await openScratchServer(url, { serverVersionNumber, encoding, password, on, nowMs })
  return {
    connection: server.connection,
    server: server.version,
    [Symbol.asyncDispose]: async () => {
      const { asked } = await server.erase()
      if (asked.every(({ answer }) => answer)) return
      throw new Failure('target-failed', 'the copy that was restored for the certificate could not be removed whole')
    },
  }
}
