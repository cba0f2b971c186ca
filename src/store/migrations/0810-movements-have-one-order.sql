-- A movement is read with its account, in the order in which it was made; every further index would be paid for by every
-- group of events that draws.
alter table grant_movement drop constraint grant_movement_pkey;
drop index grant_movement_by_account;
drop index grant_movement_by_grant;
alter table grant_movement add constraint grant_movement_pkey primary key (org_id, account_id, movement_id);
