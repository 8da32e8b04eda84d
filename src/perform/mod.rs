//! One async file per action: check, change, verify, undo.
