-- What a billing account carries beside its currency: its state with reason and time, who is behind it, and the terms that
-- staff granted. And which binding a binding took over from: once each, so that two writers cannot both supersede it.
-- Adds columns with constant defaults: no rewrite, a short lock.

alter table billing_account
  add column status_reason       text not null default '',
  add column status_at           timestamptz,
  add column activated_at        timestamptz,
  add column cause_cleared_at    timestamptz,
  add column cause_cleared_by    text,
  -- When staff granted terms; null: none, net_days is then only a default.
  add column terms_granted_at    timestamptz,
  add column credit_limit_minor  bigint check (credit_limit_minor >= 0),
  add column agreement_reference text,
  add column legal_name          text,
  add column address             jsonb,
  add column tax_ids             jsonb not null default '[]',
  add column contacts            jsonb not null default '[]',
  add column ap_email            text,
  add column po_number           text,
  add column language            text not null default 'en';

create index billing_account_by_parent on billing_account (org_id, parent_account_id)
  where parent_account_id is not null;

-- '' for the first binding of a project, null where nothing had to be superseded (a back-dated start).
alter table binding add column supersedes text;
alter table binding add constraint binding_supersedes_once unique (org_id, project_id, supersedes);
create index binding_by_account on binding (org_id, account_id, effective_from);

create index organization_by_parent on organization (parent_org_id) where parent_org_id is not null;
create index api_key_by_organization on api_key (org_id, key_id);
