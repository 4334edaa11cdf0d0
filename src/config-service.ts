/** The shape of `service:` in `chartkeep.yaml`, as it is written. What its words mean is for `src/service/settings.ts`. */
import { z } from 'zod'

const text = z.string().min(1)
const port = z.int().min(1).max(65_535)

const jobShape = z.strictObject({
  every: text.optional(),
  at: text.optional(),
  deadline: text.optional(),
  limit: text.optional(),
})
const scrubShape = jobShape.extend({ bytesMax: z.int().positive().optional() })
const jobsShape = z.strictObject({
  snapshot: jobShape.optional(),
  check: jobShape.optional(),
  scrub: scrubShape.optional(),
  compare: jobShape.optional(),
  drill: jobShape.optional(),
  prune: jobShape.optional(),
  certificate: jobShape.optional(),
})
const webhookShape = z
  .strictObject({ url: z.url().optional(), urlFile: text.optional(), secretFile: text.optional() })
  .refine(({ url, urlFile }) => (url === undefined) !== (urlFile === undefined), 'give one of url and urlFile')
const mailShape = z.strictObject({
  host: text,
  port: port.default(587),
  security: z.enum(['tls', 'starttls', 'none']).default('starttls'),
  caFile: text.optional(),
  user: text.optional(),
  passwordFile: text.optional(),
  from: text,
  to: z.array(text).min(1),
})
const syslogShape = z.strictObject({
  host: text,
  port: port.default(514),
  transport: z.enum(['udp', 'tcp', 'tls']).default('udp'),
  caFile: text.optional(),
})
const heartbeatShape = z
  .strictObject({
    url: z.url().optional(),
    urlFile: text.optional(),
    secretFile: text.optional(),
    every: text.default('5m'),
  })
  .refine(({ url, urlFile }) => (url === undefined) !== (urlFile === undefined), 'give one of url and urlFile')
const alarmsShape = z.strictObject({
  repeat: text.default('4h'),
  lag: text.default('15m'),
  watchEvery: text.default('5m'),
  language: z.enum(['en', 'zh']).default('zh'),
  freeBytesMin: z.int().positive().default(20_000_000_000),
  expiryDays: z.int().positive().default(14),
  webhook: webhookShape.optional(),
  mail: mailShape.optional(),
  syslog: syslogShape.optional(),
  heartbeat: heartbeatShape.optional(),
})

export const serviceShape = z.strictObject({
  timeZone: text.optional(),
  quietHours: z.array(text).default([]),
  capture: z.boolean().default(true),
  jobs: jobsShape.default({}),
  alarms: alarmsShape.prefault({}),
})

/** Keys for the hint at a misspelt one, below `service`. */
export function knownServiceKeys(path: readonly PropertyKey[]): readonly string[] {
  const [section, part] = path
  if (section === undefined) return Object.keys(serviceShape.shape)
  if (section === 'jobs') return part === undefined ? Object.keys(jobsShape.shape) : Object.keys(scrubShape.shape)
  if (part === undefined) return Object.keys(alarmsShape.shape)
  const shapes = { webhook: webhookShape, mail: mailShape, syslog: syslogShape, heartbeat: heartbeatShape }
  return Object.keys(shapes[part as keyof typeof shapes]?.shape ?? {})
}

/** As in the file: paths are not yet absolute. */
export type ServiceConfiguration = z.output<typeof serviceShape>
