/** A small ward: every kind of key, an identity column, large values, a view. Its rows are counted here. */
export const PLANTED = 'PLANTED-NAME-甲乙丙'
export const PATIENTS = 12
const STAYS = 24
const VITALS = 480
export const NOTES = 48
export const ROWS = PATIENTS + STAYS + VITALS + NOTES

export const WARD = `
CREATE SCHEMA ward
GO
CREATE TABLE ward.patient (patient_id int NOT NULL CONSTRAINT patient_pkey PRIMARY KEY, mrn varchar(20) NOT NULL,
  name nvarchar(40) NULL)
GO
CREATE TABLE ward.icu_stay (stay_id int NOT NULL CONSTRAINT stay_pkey PRIMARY KEY,
  patient_id int NOT NULL CONSTRAINT stay_patient REFERENCES ward.patient (patient_id),
  bed nvarchar(10) NULL CONSTRAINT stay_bed DEFAULT N'—', admitted datetime2(3) NOT NULL)
GO
CREATE TABLE ward.vital_sign (stay_id int NOT NULL CONSTRAINT vital_stay REFERENCES ward.icu_stay (stay_id),
  taken datetime2(3) NOT NULL, code varchar(10) NOT NULL, reading decimal(18,4) NULL, device uniqueidentifier NULL,
  CONSTRAINT vital_pkey PRIMARY KEY (stay_id, taken, code), CONSTRAINT vital_range CHECK (reading < 1000))
GO
CREATE TABLE ward.note (note_id int IDENTITY(1,1) NOT NULL CONSTRAINT note_pkey PRIMARY KEY,
  stay_id int NOT NULL CONSTRAINT note_stay REFERENCES ward.icu_stay (stay_id), body nvarchar(max) NULL,
  scan varbinary(max) NULL, written datetimeoffset(3) NULL)
GO
CREATE INDEX note_stay_ix ON ward.note (stay_id, written)
GO
CREATE VIEW ward.beds AS SELECT stay_id, bed FROM ward.icu_stay
GO
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${PATIENTS})
INSERT INTO ward.patient SELECT i, 'MRN' + CONVERT(varchar(10), i), N'患者 ' + CONVERT(nvarchar(10), i) FROM n
GO
UPDATE ward.patient SET name = N'${PLANTED}' WHERE patient_id = 3
GO
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${STAYS})
INSERT INTO ward.icu_stay SELECT 100 + i, (i - 1) % ${PATIENTS} + 1, N'bed ' + CONVERT(nvarchar(10), i),
  DATEADD(hour, i, CONVERT(datetime2(3), '2026-03-01T08:00:00')) FROM n
GO
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
INSERT INTO ward.vital_sign SELECT s.stay_id, DATEADD(minute, n.i, s.admitted), 'HR', 60 + n.i / 7.0,
  CONVERT(uniqueidentifier, '6f9619ff-8b86-d011-b42d-00c04fc964ff') FROM ward.icu_stay s CROSS JOIN n
GO
INSERT INTO ward.note (stay_id, body, scan, written) SELECT stay_id, N'记录' + NCHAR(9) + N'a\\b' + NCHAR(10), 0x00FF, NULL
  FROM ward.icu_stay
GO
INSERT INTO ward.note (stay_id, body, scan, written) SELECT stay_id, NULL, 0x,
  CONVERT(datetimeoffset(3), '2026-03-01T10:15:00.123+08:00') FROM ward.icu_stay`
