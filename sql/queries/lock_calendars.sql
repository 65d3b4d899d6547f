-- Let one refresh at a time write the calendars; readers go on. Held until the transaction ends.
LOCK TABLE calendars IN SHARE ROW EXCLUSIVE MODE
