//! Inventory and fleet in, plan and run out.
