/**
 * A patient's course: how ill they are, hour by hour, and what the monitor shows for it.
 *
 * Severity starts with the diagnosis, decays towards recovery, and now and then jumps (a septic shower, a bleeding).
 * Each item is its patient's own base, plus the severity's pull, plus the time of day, plus noise that remembers
 * itself (first-order autoregressive, so that neighbouring values resemble each other). Blood pressures agree with each
 * other: systolic above diastolic, the mean between them.
 */
import { valueText, vitalItems } from './items.ts'
import type { Random } from './random.ts'

/** Where each item stands in `vitalItems`. */
export const vital = {
  HR: 0,
  RR: 1,
  SPO2: 2,
  TEMP: 3,
  ABPS: 4,
  ABPD: 5,
  ABPM: 6,
  CVP: 7,
  PR: 8,
  NBPS: 9,
  NBPD: 10,
  ETCO2: 11,
} as const

/** Deviation of the noise of each item, in its unit, in the order of `vitalItems`. */
const noise = [6, 2.5, 1.2, 0.25, 9, 5, 0, 2, 0, 4, 3, 3]

export class VitalCourse {
  severity: number
  readonly values: Float64Array
  private readonly random: Random
  private readonly bases: Float64Array
  private readonly deviations: Float64Array
  private readonly memory: number
  private readonly innovation: number

  /** @param memory correlation of an item's noise with its last reading. */
  constructor(random: Random, severity: number, memory: number) {
    this.random = random
    this.severity = severity
    this.memory = memory
    this.innovation = Math.sqrt(1 - memory * memory)
    this.values = new Float64Array(vitalItems.length)
    this.deviations = new Float64Array(vitalItems.length)
    this.bases = Float64Array.from([76, 16, 97.5, 36.7, 124, 68, 0, 8, 0, 2, 1, 37], (mean, index) => {
      return mean + (noise[index] as number) * 0.8 * random.normal()
    })
    this.step(8)
  }

  /** An hour of illness. */
  age(): void {
    this.severity = Math.max(0.02, this.severity * 0.994 + 0.03 * this.random.normal())
    if (this.random.chance(0.006)) this.severity = Math.min(1.8, this.severity + 0.5)
  }

  /** The next reading; `hour` is the time of day in hours. */
  step(hour: number): void {
    for (let i = 0; i < this.deviations.length; i++) {
      const fresh = (noise[i] as number) * this.innovation * this.random.normal()
      this.deviations[i] = (this.deviations[i] as number) * this.memory + fresh
    }
    const ill = this.severity
    const day = Math.cos(((hour - 16) / 12) * Math.PI)
    const temperature = this.set(vital.TEMP, 1.1 * ill + 0.25 * day)
    const heat = temperature - 36.8
    const heart = this.set(vital.HR, 24 * ill + 4 * day + 7 * heat)
    this.set(vital.RR, 8 * ill + day + 1.5 * heat)
    this.set(vital.SPO2, -3.2 * ill)
    const systolic = this.set(vital.ABPS, -22 * ill + 5 * day)
    const diastolic = Math.min(systolic - 18, this.set(vital.ABPD, -10 * ill + 3 * day))
    this.values[vital.ABPD] = diastolic
    this.values[vital.ABPM] = (systolic + 2 * diastolic) / 3
    this.set(vital.CVP, 3 * ill)
    this.set(vital.ETCO2, 4 * ill)
    this.values[vital.PR] = heart - (this.random.chance(0.15) ? this.random.below(4) : 0)
    const cuff = systolic + this.deviation(vital.NBPS)
    this.values[vital.NBPS] = cuff
    this.values[vital.NBPD] = Math.min(cuff - 15, diastolic + this.deviation(vital.NBPD))
  }

  /** The item's value as it is charted. */
  text(index: number): string {
    return valueText(vitalItems[index] as (typeof vitalItems)[number], this.values[index] as number)
  }

  private set(index: number, effect: number): number {
    const value = this.deviation(index) + effect
    this.values[index] = value
    return value
  }

  /** The patient's own base and the noise, without illness. */
  private deviation(index: number): number {
    return (this.bases[index] as number) + (this.deviations[index] as number)
  }
}
