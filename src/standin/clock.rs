//! The stand-in's own edge to time and identity: it is a program of its own and not part of `muster`'s flow.

/// The time as nginx writes it into `error.log`.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is a program of its own; Env belongs to muster's command line"
)]
pub(super) fn stamp() -> String {
    jiff::Zoned::now().strftime("%Y/%m/%d %H:%M:%S").to_string()
}

/// Seconds since 1970, as in `created_at` of a row.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is a program of its own; Env belongs to muster's command line"
)]
pub(super) fn unix_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A random UUID from the kernel; the nil UUID where /proc hides it.
pub(super) fn uuid() -> String {
    let nil = "00000000-0000-4000-8000-000000000000".to_owned();
    std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_or(nil, |text| text.trim().to_owned())
}
