/** Severities that hang on a number. */
import type { Severity } from '../check.ts'
import type { Limits } from '../limits.ts'

/** Beyond the limit; `second` beyond so many times of it. */
export function above(
  limit: keyof Limits,
  severity: Severity,
  second?: { readonly times: number; readonly severity: Severity },
): (measure: number, limits: Limits) => Severity | null {
  return (measure, limits) => {
    if (second && measure > limits[limit] * second.times) return second.severity
    return measure > limits[limit] ? severity : null
  }
}

export function below(limit: keyof Limits, severity: Severity): (measure: number, limits: Limits) => Severity | null {
  return (measure, limits) => (measure < limits[limit] ? severity : null)
}
