-- Which was the account's last document when this one was made void. A document up to that one had counted it as billed, and
-- must still count it when it is derived anew; a later one must not. A nullable column: no rewrite.
alter table invoice add column voided_after bigint;

-- Documents that were made void before this column existed are taken for void from their own successor on.
update invoice set voided_after = sequence where status = 'void';
