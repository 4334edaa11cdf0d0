/** What a reader gives is gone when the next is asked for; who hands it on to a writer needs a copy. */
export async function* copied(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Uint8Array.from(chunk)
}
