//! docs/traps.md: every trap has a test, and every test that it names is there.

use std::collections::BTreeSet;
use std::path::Path;

/// `module::test` of every test of this binary, by the files' names.
fn tests() -> BTreeSet<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite");
    let mut found = BTreeSet::new();
    for module in std::fs::read_dir(top).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(module.path()).unwrap().flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            let name = file.file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
            // `ssh::contract` makes a test for each transport of every function that it lists.
            let listed = text.split("promises! {\n").nth(1).and_then(|rest| rest.split('}').next()).unwrap_or_default();
            let module = module.file_name().to_string_lossy().into_owned();
            found.extend(listed.split_whitespace().map(|function| format!("{module}::{name}::{function}")));
            let mut is_test = false;
            for line in text.lines() {
                let function = line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn "));
                if let Some(function) = function.and_then(|rest| rest.split('(').next()).filter(|_| is_test) {
                    found.insert(format!("{module}::{name}::{function}"));
                }
                is_test = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            }
        }
    }
    found
}

/// The rows of the tables: the trap, what is naive, what that breaks, what muster does, the tests.
fn rows() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/traps.md");
    let table = std::fs::read_to_string(path).unwrap();
    let heads = |line: &str| line.starts_with("| trap ") || line.starts_with("| ---");
    let lines = table.lines().filter(|line| line.starts_with("| ") && !heads(line));
    lines.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands between back quotes and looks like a test.
fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_trap_has_a_test_and_every_test_that_is_named_is_there() {
    let (tests, rows) = (tests(), rows());
    assert!(rows.len() > 40, "{} rows", rows.len());
    for row in &rows {
        assert!(row.len() == 5 && row.iter().all(|cell| !cell.is_empty()), "five cells: {row:?}");
        let named = named(&row[4]);
        assert!(!named.is_empty(), "no test: {row:?}");
        for name in named {
            assert!(tests.contains(name), "there is no test {name}, named for: {}", row[0]);
        }
    }
}

#[test]
fn every_test_of_this_module_stands_in_the_table() {
    let rows = rows();
    let listed: BTreeSet<&str> = rows.iter().flat_map(|row| named(&row[4])).collect();
    let missing: Vec<String> = tests()
        .into_iter()
        .filter(|test| test.starts_with("traps::") && !test.starts_with("traps::table::"))
        .filter(|test| !listed.contains(test.as_str()))
        .collect();
    assert!(missing.is_empty(), "not in docs/traps.md: {missing:#?}");
}
