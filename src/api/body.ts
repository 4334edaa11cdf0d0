/** A request's body: of JSON, of a bounded size, and read no further than that. */
import { Failure } from '../errors.ts'
import type { ApiContext } from './route.ts'

export interface ReadBody {
  readonly bytes: Uint8Array
  readonly value: unknown
}

/** @throws request-too-large, bad-usage */
export async function readBody({ req }: ApiContext, bytesMax: number): Promise<ReadBody> {
  const type = req.header('content-type') ?? ''
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new Failure('bad-usage', 'the body is not application/json', {
      hints: ['Send `Content-Type: application/json`.'],
    })
  }
  const bytes = await readBytes(req.raw, bytesMax)
  try {
    return { bytes, value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch {
    throw new Failure('bad-usage', 'the body is not JSON in UTF-8')
  }
}

async function readBytes({ body, headers }: Request, bytesMax: number): Promise<Uint8Array> {
  if (Number(headers.get('content-length') ?? 0) > bytesMax) throw tooLarge(bytesMax)
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of body ?? []) {
    length += part.length
    // Leaving the loop cancels the stream: what is still to come is not taken in.
    if (length > bytesMax) throw tooLarge(bytesMax)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function tooLarge(bytesMax: number): Failure {
  return new Failure('request-too-large', `the body is larger than ${bytesMax} bytes`)
}
