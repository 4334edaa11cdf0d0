/**
 * How large a reference hospital is, from a name of the benchmark ladder or from a number of rows.
 *
 * Two charting profiles exist: A keeps validated values once an hour (about 1,360 rows a bed and day), B keeps what
 * the monitors send every five minutes (about 7,340). Beds are occupied 85 % of the time.
 */
import { Failure } from '../../src/errors.ts'
import { DAY, END_OF_DATA } from './moment.ts'

export type SizeName = 'XS' | 'S' | 'M'
export type ProfileName = 'A' | 'B'

export interface Profile {
  readonly name: ProfileName
  readonly vitalEveryMinutes: number
  readonly ventilatorEveryMinutes: number
  readonly pumpEveryMinutes: number
  /** Pumps whose values are kept at each reading, of the five at a bed. */
  readonly pumpsKept: number
  /** Measured over a year of twenty beds; scales `rows` to beds and days. */
  readonly rowsPerOccupiedBedDay: number
}

export interface HospitalShape {
  readonly profile: Profile
  /** Patients that can lie in intensive care at once; a few more beds stand ready. */
  readonly places: number
  readonly start: number
  readonly end: number
}

export interface SizeRequest {
  readonly size?: SizeName | undefined
  /** Instead of `size`: about so many rows, in profile A unless `profile` says otherwise. */
  readonly rows?: number | undefined
  readonly profile?: ProfileName | undefined
}

export const OCCUPANCY = 0.85

const profiles: Readonly<Record<ProfileName, Profile>> = {
  A: {
    name: 'A',
    vitalEveryMinutes: 60,
    ventilatorEveryMinutes: 60,
    pumpEveryMinutes: 60,
    pumpsKept: 1,
    rowsPerOccupiedBedDay: 1360,
  },
  B: {
    name: 'B',
    vitalEveryMinutes: 5,
    ventilatorEveryMinutes: 5,
    pumpEveryMinutes: 15,
    pumpsKept: 5,
    rowsPerOccupiedBedDay: 7340,
  },
}

const ladder: Readonly<Record<SizeName, { profile: ProfileName; places: number; days: number }>> = {
  XS: { profile: 'B', places: 2, days: 30 },
  S: { profile: 'A', places: 20, days: 365 },
  M: { profile: 'B', places: 100, days: 365 },
}

const ROWS_MIN = 5000

export function shapeOf(request: SizeRequest): HospitalShape {
  if (request.rows !== undefined) return shapeOfRows(request.rows, profiles[request.profile ?? 'A'])
  const step = ladder[request.size ?? 'XS']
  const profile = profiles[request.profile ?? step.profile]
  return { profile, places: step.places, start: END_OF_DATA - step.days * DAY, end: END_OF_DATA }
}

/** Few rows are few beds for some days; many rows are many beds for one year. */
function shapeOfRows(rows: number, profile: Profile): HospitalShape {
  if (!Number.isSafeInteger(rows) || rows < ROWS_MIN) {
    throw new Failure('bad-usage', `a reference database needs at least ${ROWS_MIN} rows, not ${rows}`)
  }
  const placeDays = rows / (profile.rowsPerOccupiedBedDay * OCCUPANCY)
  const daysWanted = Math.min(365, Math.max(7, placeDays / 4))
  const places = Math.max(1, Math.round(placeDays / daysWanted))
  const seconds = Math.max(2 * DAY, Math.round((placeDays / places) * DAY))
  return { profile, places, start: END_OF_DATA - seconds, end: END_OF_DATA }
}
