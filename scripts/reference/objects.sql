-- What stands on the tables: a trigger, functions, views, a materialised view, comments.

create function public.touch_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at := greatest(now(), old.updated_at);
  return new;
end
$$;

create trigger clinical_document_touch before update on public.clinical_document
  for each row execute function public.touch_updated_at();

create function public.stay_days(in_at timestamptz, out_at timestamptz) returns numeric
  language sql stable as $$
  select round((extract(epoch from coalesce(out_at, now()) - in_at) / 86400)::numeric, 2)
$$;

create view public.current_stay as
  select s.stay_id, s.patient_id, p.mrn, p.name, s.department_id, s.bed_no, s.in_at,
         public.stay_days(s.in_at, s.out_at) as days
  from public.icu_stay s join public.patient p using (patient_id)
  where s.out_at is null;

create view public.fluid_day as
  select stay_id, (recorded_at at time zone 'Asia/Shanghai')::date as day,
         sum(volume_ml) filter (where direction = '入') as in_ml,
         sum(volume_ml) filter (where direction = '出') as out_ml,
         sum(net_ml) as net_ml
  from public.fluid_balance group by 1, 2;

create materialized view public.department_month as
  select department_id, date_trunc('month', in_at at time zone 'Asia/Shanghai')::date as month,
         count(*) as stays, count(*) filter (where outcome = '死亡') as deaths
  from public.icu_stay group by 1, 2;

create unique index department_month_key on public.department_month (department_id, month);

comment on schema dict is '公共字典';
comment on schema audit is '操作审计';
comment on table dict.item is '项目字典：生命体征、设备、护理评估、出入量、检验';
comment on table dict.drug is '药品字典';
comment on table dict.diagnosis is '诊断字典(ICD-10)';
comment on table dict."给药频次" is '给药频次字典';
comment on table public.department is '科室';
comment on table public.staff is '医护人员';
comment on table public.bed is '床位';
comment on table public.device is '设备台账(监护仪、呼吸机、输注泵)';
comment on table public.patient is '患者主索引';
comment on column public.patient.mrn is '住院号';
comment on column public.patient.id_card_sha256 is '身份证号摘要(SHA-256)';
comment on column public.patient.merged_into is '合并到的患者';
comment on table public.admission is '住院记录';
comment on table public.icu_stay is 'ICU 住科记录';
comment on column public.icu_stay.out_at is '出科时间，在科为空';
comment on table public.icu_transfer is '转科转床记录';
comment on table public.clinical_document is '病历文书';
comment on column public.clinical_document.content is '当前版本内容(XML)';
comment on table public.document_version is '病历文书历史版本';
comment on table public.document_signature is '病历文书电子签名';
comment on table public.vital_sign is '生命体征';
comment on table public.device_data is '设备数据(呼吸机、输注泵)';
comment on table public.device_alarm is '设备报警，网关重发的报警会重复';
comment on table public.med_order is '医嘱';
comment on column public.med_order.group_order_id is '成组医嘱的主医嘱';
comment on table public.order_execution is '医嘱执行记录';
comment on table public.nursing_record is '护理记录单';
comment on table public.nursing_assessment is '护理评估';
comment on table public.fluid_balance is '出入量';
comment on table public.lab_result is '检验结果(来自 LIS 接口，无外键)';
comment on column public.lab_result.stay_id is 'ICU 住科号';
comment on table public.score is '病情评分';
comment on column public.score.parts is '各分项得分，合计等于 total';
comment on table public.quality_indicator is '医疗质量控制指标(2024 版)';
comment on table audit.audit_log is '操作审计日志';
comment on index public.icu_stay_current_bed_idx is '一床同时只有一名在科患者';
