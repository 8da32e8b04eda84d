//! Who may use whom: every `crate::…` path below `src` against the table in docs/architecture.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../../docs/architecture.md");

/// The table: module to the modules that it may use.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let (_, table) = TABLE.split_once("| module | is | may use |").expect("the table is in docs/architecture.md");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let uses = cells[2].split_whitespace().map(str::to_owned).collect();
        (cells[0].to_owned(), uses)
    })
    .collect()
}

/// The modules that a source text names: `crate::name`, `crate::{a, b::c}`.
fn used(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in source.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            let group = group.split('}').next().unwrap_or_default();
            found.extend(group.split(',').map(|path| word(path.trim())));
        } else {
            found.insert(word(rest));
        }
    }
    found.remove("");
    found
}

fn word(path: &str) -> String {
    path.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("src can be read") {
        let path = entry.expect("src can be read").path();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => sources(&path, found),
            Some("rs") => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn every_module_uses_only_what_the_table_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = allowed();
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let below = file.strip_prefix(&src).expect("it was found there").to_string_lossy().into_owned();
        let module = below.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(may) = allowed.get(&module) else {
            wrong.push(format!("{below}: the module {module} is not in the table"));
            continue;
        };
        let text = std::fs::read_to_string(&file).expect("a source file can be read");
        let modules = used(&text).into_iter().filter(|used| allowed.contains_key(used));
        wrong.extend(
            modules.filter(|used| *used != module && !may.contains(used)).map(|used| format!("{below} uses {used}")),
        );
    }
    assert!(wrong.is_empty(), "docs/architecture.md does not allow:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_cycle_and_no_unknown_name() {
    let allowed = allowed();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    while done.len() < allowed.len() {
        let ready: Vec<&str> = allowed
            .iter()
            .filter(|(module, uses)| {
                !done.contains(module.as_str()) && uses.iter().all(|used| done.contains(used.as_str()))
            })
            .map(|(module, _)| module.as_str())
            .collect();
        assert!(!ready.is_empty(), "a cycle, or a name that is no module, is among the rest; in order are: {done:?}");
        done.extend(ready);
    }
}

#[test]
fn paths_are_found_in_every_form() {
    let found = used("use crate::name::X;\nuse crate::{hint, wire::Args};\nlet x = crate::kong::Conf::parse(b);\n");
    assert_eq!(found, ["hint", "kong", "name", "wire"].map(str::to_owned).into());
}

#[test]
fn only_the_edges_name_what_they_wrap() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let homes =
        [("openssh::", vec!["remote/ssh"]), ("git2::", vec!["git", "demo"]), ("mlua::", vec!["bundle", "standin"])];
    let mut wrong = Vec::new();
    for file in files {
        let below = file.strip_prefix(&src).expect("it was found there").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).expect("a source file can be read");
        for (wrapped, homes) in &homes {
            if text.contains(wrapped) && !homes.iter().any(|home| below.starts_with(home)) {
                wrong.push(format!("{below} names {wrapped}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
