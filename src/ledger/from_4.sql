-- From schema 4 to 5: a suspect is made in a process of its own, and only deaths of that one count.
UPDATE file SET crashes = 1 WHERE crashes = 0 AND ends > 0;
ALTER TABLE file DROP COLUMN alone;
ALTER TABLE file DROP COLUMN ends;
