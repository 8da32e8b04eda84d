//! Input made to do harm.

mod inventories;
mod archives;
