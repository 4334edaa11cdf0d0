/** How chartkeep is told about the reference database: `sources.icu` of the configuration, without the address. */
export interface ReferenceConfiguration {
  readonly patient: { readonly table: string; readonly key: string; readonly label: readonly string[] }
  /** The column of each table that leads to its patient. */
  readonly anchors: Readonly<Record<string, string>>
  /** What the certificate counts by, with the tables of each. */
  readonly categories: Readonly<Record<string, readonly string[]>>
  /** What the database itself does not say. */
  readonly links: readonly string[]
}

export function referenceConfiguration(): ReferenceConfiguration {
  return {
    patient: { table: 'public.patient', key: 'patient_id', label: ['mrn'] },
    anchors: {
      'public.patient': 'patient_id',
      'public.admission': 'patient_id',
      'public.icu_stay': 'patient_id',
      'public.icu_transfer': 'stay_id',
      'public.clinical_document': 'patient_id',
      'public.document_version': 'document_id',
      'public.document_signature': 'document_id',
      'public.vital_sign': 'stay_id',
      'public.device_data': 'stay_id',
      'public.device_alarm': 'stay_id',
      'public.med_order': 'stay_id',
      'public.order_execution': 'stay_id',
      'public.nursing_record': 'stay_id',
      'public.nursing_assessment': 'stay_id',
      'public.fluid_balance': 'stay_id',
      'public.lab_result': 'stay_id',
      'public.score': 'stay_id',
      'audit.audit_log': 'stay_id',
    },
    categories: {
      病历文书: ['public.clinical_document', 'public.document_version', 'public.document_signature'],
      生命体征: ['public.vital_sign'],
      医嘱: ['public.med_order', 'public.order_execution'],
      护理记录: ['public.nursing_record', 'public.nursing_assessment'],
      出入量: ['public.fluid_balance'],
      检验: ['public.lab_result'],
      评分: ['public.score'],
      设备数据: ['public.device_data', 'public.device_alarm'],
      质控数据: ['public.quality_indicator'],
      患者: ['public.patient', 'public.admission', 'public.icu_stay', 'public.icu_transfer'],
      字典: [
        'public.department',
        'public.staff',
        'public.bed',
        'public.device',
        'dict.item',
        'dict.drug',
        'dict.diagnosis',
        'dict."给药频次"',
      ],
      审计: ['audit.audit_log'],
    },
    links: [
      'public.lab_result.stay_id -> public.icu_stay.stay_id',
      'public.lab_result.item_code -> dict.item.item_code',
      'audit.audit_log.stay_id -> public.icu_stay.stay_id',
      'audit.audit_log.staff_id -> public.staff.staff_id',
    ],
  }
}
