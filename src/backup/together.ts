/** Both at once; when one fails the other is stopped, and the failure is the first one's. */
export async function together<A, B>(
  signal: AbortSignal,
  start: (signal: AbortSignal) => readonly [Promise<A>, Promise<B>],
): Promise<[A, B]> {
  const stop = new AbortController()
  const works = start(AbortSignal.any([signal, stop.signal]))
  for (const work of works) work.catch((error) => stop.abort(error))
  await Promise.allSettled(works)
  return await Promise.all(works)
}
