//! One execution as numbered events and a fold over them.
