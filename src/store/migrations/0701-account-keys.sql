-- A key that is good for one billing account of its organization only: departments that do not see each other (R-104).

alter table api_key add column account_id text;
alter table api_key add constraint api_key_of_one_account
  check (account_id is null or (org_id is not null and project_id is null));
alter table api_key add foreign key (org_id, account_id) references billing_account (org_id, account_id);
