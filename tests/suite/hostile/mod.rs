//! Input made to do harm.

mod archives;
