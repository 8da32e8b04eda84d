//! Input made to do harm.
