/** What accounts for changes in the reference database: `explain` of its source, as the configuration has it. */
export function referenceExplain(): object {
  return {
    utcOffset: '+08:00',
    times: {
      'public.vital_sign': 'recorded_at',
      'public.device_data': 'recorded_at',
      'public.lab_result': 'sampled_at',
      'public.document_version': 'saved_at',
    },
    audit: {
      table: 'audit.audit_log',
      object: 'object_table',
      key: 'object_key',
      scope: 'stay_id',
      action: 'action',
      time: 'logged_at',
      toleranceSeconds: 0,
      actions: { 新增: ['update'], 修改: ['update'], 签名: ['update'], 转科: ['update'], 删除: ['delete'] },
      covers: {
        'public.clinical_document': ['public.document_version', 'public.document_signature'],
        'public.order_execution': ['public.med_order'],
        'public.med_order': ['public.order_execution'],
        'public.icu_stay': ['public.med_order', 'public.admission'],
      },
    },
    closed: [
      { table: 'public.icu_stay', key: 'stay_id', column: 'out_at', graceHours: 24 },
      { table: 'public.clinical_document', key: 'document_id', column: 'status', equals: '已归档' },
    ],
    mayChange: ['字典', '质控数据', 'public.device_alarm'],
    series: [
      {
        table: 'public.vital_sign',
        time: 'recorded_at',
        intervalMinutes: 120,
        stays: { table: 'public.icu_stay', key: 'stay_id', start: 'in_at', end: 'out_at' },
      },
    ],
  }
}
