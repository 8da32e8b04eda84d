//! Input made to do harm.

mod inventories;
