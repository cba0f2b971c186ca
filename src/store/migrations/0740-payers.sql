-- Who pays for an account, as dated history: from a moment on its parent, an account of a partner above, or again itself. A
-- consolidated invoice carries a section per account it pays for; beside it each of those keeps a statement, the same lines
-- under its own key, so that what was charged to an account is found with the account.

create table account_payer (
  org_id           text not null,
  account_id       text not null,
  -- In the order in which they were said: what is said later replaces what was said before from its own moment on.
  version          integer not null,
  effective_from   timestamptz not null,
  -- Null: it pays itself again. The payer may belong to an organization above.
  payer_org_id     text,
  payer_account_id text,
  reason           text not null,
  created_by       text not null,
  created_at       timestamptz not null,
  primary key (org_id, account_id, version),
  foreign key (org_id, account_id) references billing_account (org_id, account_id),
  check ((payer_org_id is null) = (payer_account_id is null))
);
create index account_payer_of on account_payer (payer_org_id, payer_account_id) where payer_account_id is not null;

alter table invoice drop constraint invoice_kind_check;
alter table invoice add constraint invoice_kind_check
  check (kind in ('invoice', 'credit_note', 'debit_note', 'statement'));
-- On a statement: organization and account of who pays it, "org_…/acc_…", and the document that asks for it.
alter table invoice add column paid_by text;
alter table invoice add column statement_of text;
alter table invoice add constraint invoice_statement_is_paid_by_another
  check ((kind = 'statement') = (paid_by is not null) and (paid_by is null) = (statement_of is null));
create unique index invoice_statement_once on invoice (org_id, account_id, paid_by, period_starts_at)
  where kind = 'statement' and status <> 'void';
create index invoice_statement_of on invoice (statement_of) where statement_of is not null;

-- On a consolidated invoice: the account whose statement the line is taken from. Null: the payer's own.
alter table invoice_line add column section text;
