//! The bytes that are sent are the bytes that were checked.

use std::process::Command;

use muster::remote::Script;

use super::speak::is_there;

fn check(tool: &str, args: &[&str]) {
    if !is_there(tool) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for script in Script::ALL {
        let file = dir.path().join(format!("{}.sh", script.name()));
        std::fs::write(&file, script.text()).unwrap();
        let out = Command::new(tool).args(args).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{tool} on {}:\n{said}", script.name());
    }
}

#[test]
fn shellcheck_has_nothing_to_say() {
    check("shellcheck", &["-s", "sh"]);
}

#[test]
fn every_shell_can_read_them() {
    check("dash", &["-n"]);
    check("busybox", &["sh", "-n"]);
    check("bash", &["--posix", "-n"]);
}

#[test]
fn texts_are_of_plain_ascii_and_have_no_carriage_returns() {
    for script in Script::ALL {
        let odd = script.text().chars().find(|c| !matches!(c, '\n' | '\t' | ' '..='~'));
        assert_eq!(odd, None, "{}", script.name());
    }
}
