-- Every group of events moves a row of account_grant and adds one to grant_movement for each account it touches, so what
-- these tables keep in order besides is paid for by every event.

-- Room for new versions of a row beside the old one: a draw then touches no index.
alter table account_grant set (fillfactor = 50);

-- A movement is only ever written in the transaction that changes its grant, which must be there for that; a lock on the
-- grant's row and a look-up for each movement would say the same again.
alter table grant_movement drop constraint grant_movement_org_id_grant_id_fkey;

-- What is not posted yet is found through the account's own movements.
drop index grant_movement_to_post;
create index grant_movement_to_post on grant_movement (org_id, account_id) where posted_in is null;
