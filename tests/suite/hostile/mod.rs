//! Input made to do harm.

mod replies;
