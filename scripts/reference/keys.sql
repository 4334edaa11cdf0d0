-- Primary keys and indexes. Each paragraph belongs to one table, and paragraphs run in any order, two at a time.

alter table dict.item add primary key (item_code);
create index item_category_idx on dict.item (category, item_code);

alter table dict.drug add primary key (drug_code);
create index drug_name_idx on dict.drug (lower(name));

alter table dict.diagnosis add primary key (diagnosis_code);
create index diagnosis_pinyin_idx on dict.diagnosis (pinyin text_pattern_ops);

alter table dict."给药频次" add primary key ("频次代码");

alter table public.department add primary key (department_id);

alter table public.staff add primary key (staff_id);
alter table public.staff add constraint staff_staff_no_key unique (staff_no);

alter table public.bed add primary key (department_id, bed_no);
alter table public.bed add constraint bed_monitor_key unique (monitor_mac);

alter table public.device add primary key (device_id);
create unique index device_serial_idx on public.device (lower(serial_no));

alter table public.patient add primary key (patient_id);
alter table public.patient add constraint patient_mrn_key unique (mrn);
create index patient_name_idx on public.patient (name);
create index patient_id_card_idx on public.patient using hash (id_card_sha256);

alter table public.admission add primary key (admission_id);
create index admission_patient_idx on public.admission (patient_id);

alter table public.icu_stay add primary key (stay_id);
create index icu_stay_patient_idx on public.icu_stay (patient_id, in_at desc);
create unique index icu_stay_current_bed_idx on public.icu_stay (department_id, bed_no) where out_at is null;

alter table public.icu_transfer add primary key (stay_id, transfer_no);

alter table public.clinical_document add primary key (document_id);
create index clinical_document_stay_idx on public.clinical_document (stay_id, created_at);
create index clinical_document_open_idx on public.clinical_document (author_id) where status in ('草稿', '待审签');

alter table public.document_version add primary key (document_id, version);

alter table public.document_signature add primary key (signature_id);
create unique index document_signature_level_idx on public.document_signature (document_id, version, level);

alter table public.vital_sign add primary key (vital_id, recorded_at);
create index vital_sign_stay_idx on public.vital_sign (stay_id, item_code, recorded_at);

alter table public.device_data add primary key (stay_id, device_id, item_code, recorded_at);

create index device_alarm_stay_idx on public.device_alarm (stay_id, raised_at);

alter table public.med_order add primary key (order_id);
create index med_order_stay_idx on public.med_order (stay_id, ordered_at);
create index med_order_running_idx on public.med_order (stay_id) where status in ('待执行', '执行中');

alter table public.order_execution add primary key (execution_id);
create index order_execution_order_idx on public.order_execution (order_id);
create index order_execution_stay_idx on public.order_execution (stay_id, planned_at);

alter table public.nursing_record add primary key (record_id);
create index nursing_record_stay_idx on public.nursing_record (stay_id, recorded_at);

alter table public.nursing_assessment add primary key (stay_id, item_code, assessed_at);

alter table public.fluid_balance add primary key (fluid_id);
create index fluid_balance_stay_idx on public.fluid_balance (stay_id, recorded_at);

alter table public.lab_result add primary key (result_id);
create index lab_result_stay_idx on public.lab_result (stay_id, item_code, sampled_at);
create index lab_result_sample_idx on public.lab_result (upper(sample_no));

alter table public.score add primary key (stay_id, kind, scored_at);
create index score_parts_idx on public.score using gin (parts) where kind = 'SOFA';

alter table public.quality_indicator add primary key (department_id, indicator_code, month);

alter table audit.audit_log add primary key (log_id);
create index audit_log_stay_idx on audit.audit_log (stay_id, logged_at) where stay_id is not null;
create index audit_log_time_idx on audit.audit_log using brin (logged_at);
