//! The handler as a process, seen from outside: a file of `tests/` for each subject.
