//! Inventories made to crash, to stall, to fool a terminal or to smuggle an option into ssh: each ends in a clear error.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use muster::inventory::{self, Look, Mistakes};

/// A name, the bytes, and what the error says.
type Case = (&'static str, Vec<u8>, &'static str);

const HEAD: &str = "version: 1\nowner: me\n";

fn with(rest: &str) -> Vec<u8> {
    format!("{HEAD}{rest}").into_bytes()
}

fn cluster(keys: &str) -> Vec<u8> {
    with(&format!("clusters:\n  c:\n    topology: dbless\n{keys}"))
}

/// Texts that a YAML reader could choke on.
fn of_yaml() -> Vec<Case> {
    let laughs = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, i| {
        let before = format!("*a{}", i - 1);
        format!("{text}a{i}: &a{i} [{}]\n", [before.as_str(); 9].join(", "))
    });
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(HEAD.encode_utf16().flat_map(u16::to_le_bytes));
    vec![
        ("a hundred thousand brackets", vec![b'['; 100_000], "deep"),
        ("brackets behind a key", with(&format!("clusters: {}", "{a: ".repeat(50_000))), "deep"),
        ("a thousand million laughs", with(&laughs), "more than 500000 keys and values"),
        ("an alias inside its own value", with("clusters: &a {c: *a}\n"), "alias"),
        ("an alias of nothing", with("clusters: *nobody\n"), "not YAML"),
        ("an alias nest that is too deep", with(&deep_aliases()), "deep"),
        ("a merge key", cluster("    nodes: {a: {<<: {host: b}}}\n"), "merge keys (`<<`) are not read"),
        ("a tag that makes objects", cluster("    nodes: !!python/object:os.system [a]\n"), "a tag"),
        ("two documents", with("---\nversion: 1\nowner: mallory\n"), "a second document"),
        ("a map as a key", cluster("    nodes: {? {a: b} : {}}\n"), "a key must be a text"),
        ("a quote without end", with("clusters: \"\n"), "not YAML"),
        ("a tab as indentation", with("clusters:\n\tc: {}\n"), "not YAML"),
        ("nothing", Vec::new(), "empty"),
        ("only a comment", b"# version: 1\n".to_vec(), "empty"),
        ("a list", b"- version: 1\n".to_vec(), "keys with values"),
        ("bytes that are no text", b"version: 1\nowner: \xff\xfe\n".to_vec(), "not UTF-8"),
        ("another encoding", utf16, "not UTF-8"),
        ("a file of nothing but zeros", vec![0; 10_000], ""),
        ("nine million bytes", vec![b'#'; 9_000_000], "more than 8388608"),
        ("a million values", with(&format!("x: [{}]\n", "1,".repeat(1_000_000))), "more than 500000 keys and values"),
    ]
}

fn deep_aliases() -> String {
    let mut text = String::new();
    for i in 0..20 {
        let inner = if i == 0 { "x".to_owned() } else { format!("*a{}", i - 1) };
        let _ = writeln!(text, "a{i}: &a{i} [[[{inner}]]]");
    }
    text
}

/// Values that would do harm further on.
fn of_meaning() -> Vec<Case> {
    vec![
        (
            "an option for ssh as a node",
            cluster("    nodes: [\"-oProxyCommand=touch /tmp/x\"]\n"),
            "may not begin with '-'",
        ),
        (
            "an option for ssh as a host",
            cluster("    nodes: {a: {host: -oProxyCommand=x}}\n"),
            "may not begin with '-'",
        ),
        ("an option for ssh as a user", cluster("    nodes: {a: {ssh: {user: -oProxyCommand=x}}}\n"), "ssh user"),
        ("a line break in a name", cluster("    nodes: [\"a\\nb\"]\n"), "may not contain '\\n'"),
        ("a shell in a path", cluster("    nodes: {a: {kong: {conf: \"/etc/k\\n$(id)\"}}}\n"), "control character"),
        ("a path out of the repository", with("bundles: {b: {dir: ../../etc}}\n"), "a part `..`"),
        ("a path into .git", with("bundles: {b: {dir: x/.GIT/hooks}}\n"), "a part `.GIT`"),
        ("an option for git", with("bundles: {b: {dir: b, at: --upload-pack=x}}\n"), "begins with `-`"),
        ("a secret in place of its name", cluster("    admin: {token: {env: \"s3cret!\"}}\n"), "environment variable"),
        (
            "an Admin API elsewhere",
            cluster("    admin: {listen: \"http://127.0.0.1:8001@evil:80\"}\n"),
            "not of the form",
        ),
        (
            "escape sequences",
            cluster("    \"\\e]0;owned\\a\\e[2J\": x\n"),
            "`\\u{1b}]0;owned\\u{7}\\u{1b}[2J` is not a key",
        ),
        ("text that runs backwards", with("\"own\\u202eer\": x\n"), "`own\\u{202e}er` is not a key"),
        ("a plugin that breaks the directive", cluster("    plugins: {\"a,b\": absent}\n"), "may not contain ','"),
    ]
}

/// Small files that mean a lot of work.
fn of_work() -> Vec<Case> {
    let mut overlapping = "    nodes:\n".to_owned();
    let mut unknown = "    nodes: [a]\n    plugins:\n".to_owned();
    let mut bundles = "bundles:\n".to_owned();
    let mut twice = "    nodes:\n".to_owned();
    let mut chain = "clusters:\n".to_owned();
    for i in 0..5_000 {
        let _ = writeln!(overlapping, "      \"a[1-{}]\": {{}}", 9_999 - i);
        let _ = writeln!(unknown, "      bundle-number-{i}-x: present");
        let _ = writeln!(bundles, "  bundle-number-{i}-y: {{dir: d}}");
        let _ = writeln!(twice, "      a:\n        host: b");
        let after = (i + 1) % 5_000;
        let _ = writeln!(chain, "  c{i}: {{topology: dbless, nodes: [n{i}], rollout: {{after: {{c{after}: 1s}}}}}}");
    }
    let stars = vec!["*a".repeat(50); 90].join(",");
    let many = format!("    nodes: [\"a[1-9999]\", b]\n    plugins: {{p: {{files: external, on: \"{stars},c\"}}}}\n");
    vec![
        ("a range without end", cluster("    nodes: [\"a[1-999999999]\"]\n"), "more than 10000 names"),
        ("ranges of ranges", cluster("    nodes: [\"[1-99][1-99][1-99][1-99]\"]\n"), "more than 10000 names"),
        ("five thousand overlapping ranges", cluster(&overlapping), "already in cluster c"),
        (
            "five thousand unknown bundles",
            [with(&bundles), cluster(&unknown)[HEAD.len()..].to_vec()].concat(),
            "there is no bundle",
        ),
        ("five thousand times one key", cluster(&twice), "given twice"),
        ("a circle of five thousand clusters", with(&chain), "wait for each other"),
        ("a selector of stars on ten thousand nodes", cluster(&many), "has no node c"),
        (
            "a name of a million letters",
            cluster(&format!("    nodes: [{}]\n", "a".repeat(1_000_000))),
            "longer than 253",
        ),
    ]
}

/// What holds for every error about an inventory, whatever was in it.
fn check_told(name: &str, wrong: &Mistakes, says: &str) {
    let plain = wrong.render(Look::Plain);
    let lines = wrong.to_string();
    assert!(lines.contains(says), "{name}: {:.2000}", lines);
    for text in [&plain, &lines] {
        let raw = text.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
        assert_eq!(raw, None, "{name}: raw control character in {text:.2000}");
        assert!(text.len() < 1_000_000, "{name}: {} bytes", text.len());
    }
    for mistake in wrong {
        assert!(mistake.place.line >= 1 && mistake.place.column >= 1, "{name}: {mistake:?}");
        assert!(!mistake.what.is_empty() && mistake.what.len() < 3_000, "{name}: {mistake:?}");
    }
    assert!(!wrong.hints().is_empty(), "{name}");
}

#[test]
fn hostile_inventories_end_in_clear_errors() {
    let cases: Vec<Case> = [of_yaml(), of_meaning(), of_work()].concat();
    assert!(cases.len() >= 20);
    for (name, bytes, says) in cases {
        let before = Instant::now();
        match inventory::parse("inventory.yaml", &bytes) {
            Ok(_) => panic!("{name}: accepted"),
            Err(wrong) => check_told(name, &wrong, says),
        }
        // Ample: the slowest takes about a second without optimisation. What is not linear takes minutes.
        assert!(before.elapsed() < Duration::from_secs(30), "{name}: {:?}", before.elapsed());
    }
}

#[test]
fn the_name_of_the_file_is_shown_harmlessly_too() {
    let wrong = inventory::parse("in\u{1b}[2Jv.yaml", b"").expect_err("empty");
    assert!(!wrong.render(Look::Plain).contains('\u{1b}') && !wrong.to_string().contains('\u{1b}'));
}
