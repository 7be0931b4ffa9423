-- A person's decision on which customer a code means can be taken back; that it was made stays in the audit.
GRANT DELETE ON core.customer_match TO %APP_ROLE%;
