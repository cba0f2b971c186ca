-- How an account wants its periods closed, and what documents say about each other. Adding columns with constant defaults
-- and indexes on tables that are still small: no rewrite.

alter table billing_account
  add column legal_entity       text     not null default 'main',
  -- Hours after a period's end in which late events still change its draft.
  add column finalization_hours smallint not null default 72 check (finalization_hours between 0 and 2160),
  add column late_usage         text     not null default 'next_invoice'
    check (late_usage in ('next_invoice', 'own_document', 'hold')),
  add column zero_invoices      boolean  not null default false;

-- A credit or debit note names the document it corrects. reason_code is for reports, reason for people.
alter table invoice
  add column corrects_id text,
  add column reason_code text,
  add column reason      text not null default '',
  add column created_by  text not null default '',
  add column sequence    bigint;

create unique index invoice_number_once_per_legal_entity on invoice (org_id, legal_entity, number);
create index invoice_by_account on invoice (org_id, account_id, period_starts_at);
create index invoice_corrections on invoice (org_id, corrects_id) where corrects_id is not null;

-- charge: first billed here. restatement: the difference to what was billed before. concession: given away, still owed
-- by the usage itself, and so never charged again.
alter table invoice_line
  add column basis text not null default 'charge' check (basis in ('charge', 'restatement', 'concession'));
