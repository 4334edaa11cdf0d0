/**
 * How a request is carried out: once for each `Idempotency-Key`, in its turn, in time.
 *
 *     claim ─→ turn ─→ work ─→ keep the answer ─→ send it
 *
 * A failure that passes by itself is not kept: the same request under the same key is tried anew.
 * A request that writes goes on to its end whoever has gone away: its answer is kept, and asked for again under its key.
 */
import { Failure } from '../errors.ts'
import { claimRequest, keepAnswer, releaseRequest, type StoredAnswer } from '../repository/access/answered-requests.ts'
import type { ApiDependencies, ApiLimits } from './dependencies.ts'
import { Gate } from './gate.ts'
import { invalidRequest, problemOf, problemResponse } from './problem.ts'
import { type ApiContext, type CarryOut, idempotencyKey } from './route.ts'

type Work = (signal: AbortSignal) => Promise<Response>

export class Carrier {
  readonly #dependencies: ApiDependencies
  readonly #limits: ApiLimits
  readonly #gate: Gate

  constructor(dependencies: ApiDependencies, limits: ApiLimits) {
    this.#dependencies = dependencies
    this.#limits = limits
    this.#gate = new Gate(limits.heavyAtOnce, limits.heavyWaiting)
  }

  readonly carryOut = async (context: ApiContext, order: CarryOut, work: Work): Promise<Response> => {
    const key = order.once ? context.req.header('idempotency-key') : undefined
    if (key === undefined) return await this.#inTime(context, order, work)
    const parsed = idempotencyKey.safeParse(key)
    if (!parsed.success) throw invalidRequest('header', parsed.error)
    return await this.#onlyOnce(context, order, key, () => this.#inTime(context, order, work))
  }

  async #onlyOnce(
    context: ApiContext,
    { caller, body }: CarryOut,
    key: string,
    work: () => Promise<Response>,
  ): Promise<Response> {
    const { repository, nowMs } = this.#dependencies
    const claim = await claimRequest(repository, {
      person: caller?.person ?? '',
      route: `${context.req.method} ${context.req.path}`,
      key,
      body: body ?? new Uint8Array(),
      nowMs: nowMs(),
    })
    if (claim.kind === 'answered') return asResponse(claim.answer)
    const response = await work().catch(async (error: unknown) => {
      const problem = problemOf(error, context.get('requestId'))
      if (problem.code === 'defect') throw error
      if (!problem.retry) return problemResponse(problem)
      // Who is told to come again comes with the same key: no answer of the past is to meet him.
      await releaseRequest(repository, claim.name).catch(() => {})
      throw error
    })
    const answer = {
      status: response.status,
      contentType: response.headers.get('content-type') ?? 'application/json',
      body: await response.text(),
    }
    await keepAnswer(repository, claim.name, answer)
    return asResponse(answer)
  }

  async #inTime(context: ApiContext, { heavy, writes }: CarryOut, work: Work): Promise<Response> {
    const stop = this.#dependencies.signal
    if (writes) return heavy ? await this.#gate.through(stop, () => work(stop)) : await work(stop)
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(tooLate(this.#limits.answerMs)), this.#limits.answerMs)
    const signal = AbortSignal.any([stop, late.signal, context.req.raw.signal])
    try {
      const answered = heavy ? this.#gate.through(signal, () => work(signal)) : work(signal)
      // Work that does not notice the signal goes on by itself, and keeps its place until it ends.
      return await Promise.race([answered, cut(signal, late.signal)])
    } finally {
      clearTimeout(timer)
    }
  }
}

function cut(signal: AbortSignal, late: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const fail = () => reject(late.aborted ? late.reason : new Failure('cancelled', 'the request was cut short'))
  if (signal.aborted) fail()
  else signal.addEventListener('abort', fail, { once: true })
  return promise
}

function tooLate(answerMs: number): Failure {
  return new Failure('request-timed-out', `no answer within ${answerMs / 1000} s`)
}

function asResponse({ status, contentType, body }: StoredAnswer): Response {
  return new Response(body, { status, headers: { 'Content-Type': contentType } })
}
