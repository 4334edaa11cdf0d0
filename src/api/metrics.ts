/** How the API itself does, in Prometheus' text: by path as `/openapi.json` has it, so that no name gets into a label (I9). */
import { Counter, Histogram, Registry } from 'prom-client'
import type { ApiContext } from './route.ts'

const BUCKETS_SECONDS = [0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 20, 60]

export class ApiMetrics {
  readonly #registry = new Registry()
  readonly #requests = new Counter({
    name: 'chartkeep_api_requests_total',
    help: 'Requests that were answered.',
    labelNames: ['route', 'status'],
    registers: [this.#registry],
  })
  readonly #seconds = new Histogram({
    name: 'chartkeep_api_request_seconds',
    help: 'From the request to its answer.',
    labelNames: ['route'],
    buckets: BUCKETS_SECONDS,
    registers: [this.#registry],
  })

  answered(context: ApiContext, milliseconds: number): void {
    const route = context.get('route')
    this.#requests.inc({ route, status: String(context.res.status) })
    this.#seconds.observe({ route }, milliseconds / 1000)
  }

  async text(): Promise<string> {
    return await this.#registry.metrics()
  }
}
