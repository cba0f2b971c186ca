-- The books of documents. What is earned and not yet invoiced, what is invoiced and not yet earned, and the rule that was in
-- force: beside the postings, because both go on changing after the posting that began them.

-- Versions of the rule by which revenue is recognised. A period is booked by the version in force when it began.
create table recognition_policy (
  version        integer primary key check (version > 0),
  effective_from timestamptz not null,
  -- A fee is earned evenly over its own period, or when it is billed.
  fees           text not null check (fees in ('straight_line', 'when_billed')),
  -- Usage is earned in the period in which it happened, or when it is billed.
  usage          text not null check (usage in ('accrued', 'when_billed')),
  reason         text not null,
  created_by     text not null,
  created_at     timestamptz not null,
  unique (effective_from)
);
insert into recognition_policy values
  (1, '-infinity', 'straight_line', 'accrued', 'the house rule', 'tallyline', '2025-01-01T00:00:00Z');

-- Revenue of a cause that is in the books and on no document yet: what an invoice still has to move to the receivable.
create table unbilled_charge (
  org_id           text not null,
  account_id       text not null,
  cause            text not null,
  period_starts_at timestamptz not null,
  sku_code         text not null,
  currency         text not null,
  amount_minor     bigint not null check (amount_minor <> 0),
  primary key (org_id, account_id, cause),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);

-- Up to which event the closed, not yet invoiced period of an account was accrued.
create table accrued_period (
  org_id           text not null,
  account_id       text not null,
  period_starts_at timestamptz not null,
  seq              bigint not null,
  primary key (org_id, account_id, period_starts_at),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);

-- A line whose period went on when its document's ended: the rest is earned evenly, month by month.
create table revenue_schedule (
  org_id           text not null,
  invoice_id       text not null,
  line_no          integer not null,
  account_id       text not null,
  sku_code         text not null,
  -- Where the earned part goes: `revenue`, or `refunds` for what a note gave back.
  goes_to          text not null check (goes_to in ('revenue', 'refunds')),
  currency         text not null,
  -- The whole line without tax, and how much of it has been earned so far.
  amount_minor     bigint not null,
  earned_minor     bigint not null,
  starts_at        timestamptz not null,
  ends_at          timestamptz not null,
  time_zone        text not null,
  earned_until     timestamptz not null,
  -- When the next part is earned; null when all is, or when the document became void.
  next_at          timestamptz,
  policy_version   integer not null,
  primary key (org_id, invoice_id, line_no),
  foreign key (org_id, invoice_id) references invoice (org_id, invoice_id),
  check (starts_at < ends_at)
);
create index revenue_schedule_due on revenue_schedule (next_at) where next_at is not null;
