//! Input made to do harm.

mod archives;
mod inventories;
