/** What stands before the first patient comes: departments, beds, staff, devices. Derived from the number of places. */
import { personName, type Sex } from './people.ts'
import type { Random } from './random.ts'

export interface Bed {
  readonly departmentId: string
  readonly bedNo: number
}

export interface StaffMember {
  readonly staffId: number
  readonly name: string
  readonly sex: Sex
  readonly role: '医生' | '护士' | '工程师'
  readonly departmentId: string
}

export interface Unit {
  readonly departmentId: string
  readonly name: string
  readonly beds: readonly Bed[]
  readonly doctors: readonly StaffMember[]
  readonly nurses: readonly StaffMember[]
}

export interface Layout {
  readonly units: readonly Unit[]
  readonly staff: readonly StaffMember[]
}

const PLACES_PER_UNIT = 25
const PUMPS_PER_BED = 5
const unitNames = ['一科', '二科', '三科', '四科', '五科', '六科', '七科', '八科']

export function makeLayout(random: Random, places: number): Layout {
  const unitCount = Math.ceil(places / PLACES_PER_UNIT)
  const staff: StaffMember[] = []
  const hire = (role: StaffMember['role'], departmentId: string): StaffMember => {
    const sex: Sex = random.chance(role === '护士' ? 0.12 : 0.55) ? '男' : '女'
    const member = { staffId: 1001 + staff.length, name: personName(random, sex), sex, role, departmentId }
    staff.push(member)
    return member
  }

  hire('工程师', 'IT')
  hire('工程师', 'IT')
  const units = Array.from({ length: unitCount }, (_, index): Unit => {
    const departmentId = `ICU${index + 1}`
    const placesHere = Math.floor(places / unitCount) + (index < places % unitCount ? 1 : 0)
    const bedCount = placesHere + 1 + Math.floor(placesHere / 5)
    return {
      departmentId,
      name: `重症医学${unitNames[index] ?? `${index + 1}科`}`,
      beds: Array.from({ length: bedCount }, (_bed, bed) => ({ departmentId, bedNo: bed + 1 })),
      doctors: Array.from({ length: 4 + Math.ceil(bedCount * 0.4) }, () => hire('医生', departmentId)),
      nurses: Array.from({ length: 6 + bedCount * 2 }, () => hire('护士', departmentId)),
    }
  })
  return { units, staff }
}

export function ventilatorOf(bed: Bed): string {
  return `VENT-${bed.departmentId}-${bed.bedNo}`
}

export function pumpOf(bed: Bed, number: number): string {
  return `PUMP-${bed.departmentId}-${bed.bedNo}-${number + 1}`
}

export function monitorOf(bed: Bed): string {
  return `MON-${bed.departmentId}-${bed.bedNo}`
}

export function devicesOf(bed: Bed): { readonly deviceId: string; readonly kind: string; readonly model: string }[] {
  const pumps = Array.from({ length: PUMPS_PER_BED }, (_, number) => {
    return { deviceId: pumpOf(bed, number), kind: '输注泵', model: 'Space P' }
  })
  return [
    { deviceId: monitorOf(bed), kind: '监护仪', model: 'N15' },
    { deviceId: ventilatorOf(bed), kind: '呼吸机', model: 'SV800' },
    ...pumps,
  ]
}
