-- Foreign keys, after the rows. `lab_result.stay_id`, `audit_log.stay_id` and `audit_log.staff_id` have none, as in
-- many hospital databases; `clinical_document` and `document_version` point at each other.

alter table public.department add constraint department_parent_fk
  foreign key (parent_department_id) references public.department (department_id);
alter table public.staff add constraint staff_department_fk
  foreign key (department_id) references public.department (department_id);
alter table public.bed add constraint bed_department_fk
  foreign key (department_id) references public.department (department_id);
alter table public.device add constraint device_bed_fk
  foreign key (department_id, bed_no) references public.bed (department_id, bed_no);

alter table public.patient add constraint patient_merged_into_fk
  foreign key (merged_into) references public.patient (patient_id);
alter table public.admission add constraint admission_patient_fk
  foreign key (patient_id) references public.patient (patient_id);
alter table public.admission add constraint admission_diagnosis_fk
  foreign key (diagnosis_code) references dict.diagnosis (diagnosis_code);
alter table public.icu_stay add constraint icu_stay_patient_fk
  foreign key (patient_id) references public.patient (patient_id);
alter table public.icu_stay add constraint icu_stay_admission_fk
  foreign key (admission_id) references public.admission (admission_id);
alter table public.icu_stay add constraint icu_stay_bed_fk
  foreign key (department_id, bed_no) references public.bed (department_id, bed_no);
alter table public.icu_stay add constraint icu_stay_attending_fk
  foreign key (attending_id) references public.staff (staff_id);
alter table public.icu_transfer add constraint icu_transfer_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);
alter table public.icu_transfer add constraint icu_transfer_to_bed_fk
  foreign key (to_department_id, to_bed_no) references public.bed (department_id, bed_no);

alter table public.clinical_document add constraint clinical_document_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);
alter table public.clinical_document add constraint clinical_document_patient_fk
  foreign key (patient_id) references public.patient (patient_id);
alter table public.clinical_document add constraint clinical_document_author_fk
  foreign key (author_id) references public.staff (staff_id);
alter table public.document_version add constraint document_version_document_fk
  foreign key (document_id) references public.clinical_document (document_id) on delete cascade;
alter table public.clinical_document add constraint clinical_document_current_version_fk
  foreign key (document_id, current_version) references public.document_version (document_id, version)
  deferrable initially deferred;
alter table public.document_signature add constraint document_signature_version_fk
  foreign key (document_id, version) references public.document_version (document_id, version);
alter table public.document_signature add constraint document_signature_signer_fk
  foreign key (signer_id) references public.staff (staff_id);

alter table public.vital_sign add constraint vital_sign_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);
alter table public.vital_sign add constraint vital_sign_item_fk
  foreign key (item_code) references dict.item (item_code);
alter table public.device_data add constraint device_data_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);
alter table public.device_data add constraint device_data_device_fk
  foreign key (device_id) references public.device (device_id);
alter table public.device_alarm add constraint device_alarm_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);

alter table public.med_order add constraint med_order_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);
alter table public.med_order add constraint med_order_drug_fk
  foreign key (drug_code) references dict.drug (drug_code);
alter table public.med_order add constraint med_order_frequency_fk
  foreign key (frequency) references dict."给药频次" ("频次代码");
alter table public.med_order add constraint med_order_group_fk
  foreign key (group_order_id) references public.med_order (order_id) on delete set null;
alter table public.order_execution add constraint order_execution_order_fk
  foreign key (order_id) references public.med_order (order_id);
alter table public.order_execution add constraint order_execution_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);

alter table public.nursing_record add constraint nursing_record_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);
-- Records taken over from the old system name reviewers who never had an account here.
alter table public.nursing_record add constraint nursing_record_reviewer_fk
  foreign key (reviewed_by) references public.staff (staff_id) not valid;
alter table public.nursing_assessment add constraint nursing_assessment_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);
alter table public.fluid_balance add constraint fluid_balance_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);
alter table public.fluid_balance add constraint fluid_balance_item_fk
  foreign key (item_code) references dict.item (item_code);
alter table public.score add constraint score_stay_fk
  foreign key (stay_id) references public.icu_stay (stay_id);
alter table public.quality_indicator add constraint quality_indicator_department_fk
  foreign key (department_id) references public.department (department_id);
