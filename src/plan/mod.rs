//! Ordered steps in waves, with needs, reasons, blockers and the basis.
