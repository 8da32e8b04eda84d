//! Processes that belong to a fleet, found in /proc: what a test leaves behind is counted, not believed.

use std::fs;

/// Every living process but this one that has the text in its command line or its environment.
pub(crate) fn with_text(text: &str) -> Vec<String> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own).filter_map(|pid| describe(pid, text)).collect()
}

fn describe(pid: u32, text: &str) -> Option<String> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
    let environ = read("environ");
    // A zombie has neither.
    (line.contains(text) || String::from_utf8_lossy(&environ).contains(text)).then(|| format!("{pid} {line}"))
}

/// The processes whose command line has this text, such as `-S SOCKET`.
pub(crate) fn titled(text: &str) -> Vec<String> {
    with_text(text)
        .into_iter()
        .filter(|line| line.split_once(' ').is_some_and(|(_, title)| title.contains(text)))
        .collect()
}
