//! The operator's own keys and `--read-only`: what the command line says of them, before any screen opens.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs the program in an empty directory with this home and these variables.
fn muster(home: &Path, args: &[&str], vars: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.args(args).env_clear().env("HOME", home).env("TMPDIR", home).current_dir(home);
    command.envs(vars.iter().copied()).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn home() -> TempDir {
    TempDir::new().unwrap()
}

fn write(home: &TempDir, path: &str, content: &str) {
    let path = home.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn muster_keys_prints_a_file_that_is_read_as_it_stands() {
    let home = home();
    let printed = muster(home.path(), &["keys"], &[]);
    assert_eq!(printed.status.code(), Some(0));
    let printed = text(&printed.stdout);
    assert!(printed.contains("  quit: [q]") && printed.contains("\nfleet:\n"), "{printed}");
    assert!(printed.contains(".config/muster/keys.yaml"), "it says where it belongs\n{printed}");
    write(&home, ".config/muster/keys.yaml", &printed.replace("  quit: [q]", "  quit: [Q, F10]"));
    let again = text(&muster(home.path(), &["keys"], &[]).stdout);
    assert!(again.contains("  quit: [Q, \"F10\"]") && again.contains("# Read from"), "{again}");
    let json = muster(home.path(), &["keys", "--format", "json"], &[]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["screens"]["everywhere"]["quit"]["keys"], serde_json::json!(["Q", "F10"]));
}

#[test]
fn the_file_is_the_one_that_is_named_else_that_of_the_operator_and_never_one_of_the_repository() {
    let home = home();
    let quit = |vars: &[(&str, &str)]| {
        let printed = text(&muster(home.path(), &["keys"], vars).stdout);
        printed
            .lines()
            .find(|line| line.starts_with("  quit: "))
            .unwrap_or_default()
            .split('#')
            .next()
            .map(|line| line.trim().to_owned())
    };
    write(&home, "keys.yaml", "everywhere: { quit: A }\n");
    write(&home, "muster/keys.yaml", "everywhere: { quit: B }\n");
    assert_eq!(quit(&[]).as_deref(), Some("quit: [q]"), "what lies in the working directory is not read");
    write(&home, ".config/muster/keys.yaml", "everywhere: { quit: C }\n");
    assert_eq!(quit(&[]).as_deref(), Some("quit: [C]"));
    let xdg = home.path().join("xdg");
    write(&home, "xdg/muster/keys.yaml", "everywhere: { quit: D }\n");
    assert_eq!(quit(&[("XDG_CONFIG_HOME", xdg.to_str().unwrap())]).as_deref(), Some("quit: [D]"));
    assert_eq!(quit(&[("XDG_CONFIG_HOME", "xdg")]).as_deref(), Some("quit: [C]"), "a relative one is no directory");
    let named = home.path().join("keys.yaml");
    assert_eq!(quit(&[("MUSTER_KEYS", named.to_str().unwrap())]).as_deref(), Some("quit: [A]"));
}

#[test]
fn mistakes_in_the_file_are_all_told_and_nothing_is_opened() {
    let home = home();
    let file = ".config/muster/keys.yaml";
    write(&home, file, "fleet: { look-agian: f5, plan: [f5, f5] }\nrun: { stop: ctrl-i }\n");
    for args in [&["keys"][..], &[], &["--demo"]] {
        let said = muster(home.path(), args, &[]);
        let err = text(&said.stderr);
        assert_eq!((said.status.code(), text(&said.stdout)), (Some(64), String::new()), "{args:?}: {err}");
        for words in [
            "keys.yaml:1:10: there is no action `look-agian`; ",
            "keys.yaml:1:37: F5 is given to `plan` twice",
            "keys.yaml:2:14: ctrl-i: a terminal sends the same for it as for tab; ",
        ] {
            assert!(err.contains(words), "{args:?}: {words}\n{err}");
        }
        assert!(!err.contains("demo:"), "no demo was begun\n{err}");
    }
    let missing = muster(home.path(), &["keys"], &[("MUSTER_KEYS", "/no/such/file")]);
    assert_eq!(missing.status.code(), Some(64));
    assert!(text(&missing.stderr).contains("/no/such/file"), "{}", text(&missing.stderr));
    let status = muster(home.path(), &["runs"], &[]);
    assert_eq!(status.status.code(), Some(0), "what opens no screen needs no keys: {}", text(&status.stderr));
}

#[test]
fn read_only_refuses_whatever_changes_nodes_without_a_question() {
    let home = home();
    for args in [
        &["--apply", "--all"][..],
        &["resume", "01M7WMCPQ00000000000000007", "--yes"],
        &["restore-rows", "01M7WMCPQ00000000000000007", "--yes"],
        &["unlock", "eu-prod", "--yes"],
        &["--demo", "--apply", "--all"],
    ] {
        let by_option = muster(home.path(), &[args, &["--read-only"]].concat(), &[]);
        let by_variable = muster(home.path(), args, &[("MUSTER_READ_ONLY", "1")]);
        for said in [by_option, by_variable] {
            let err = text(&said.stderr);
            assert_eq!(said.status.code(), Some(64), "{args:?}: {err}");
            assert!(err.contains("--read-only (or MUSTER_READ_ONLY)"), "{args:?}: {err}");
        }
    }
    let allowed = muster(home.path(), &["--apply", "--all"], &[("MUSTER_READ_ONLY", "0")]);
    assert!(!text(&allowed.stderr).contains("read-only"), "{}", text(&allowed.stderr));
    let shown = muster(home.path(), &["runs", "--read-only"], &[]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
}
