//! Reading recorded runs as the screen does.
