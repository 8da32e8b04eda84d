//! `docs/events.md` is generated from the types: this test writes it anew when `MUSTER_WRITE_DOCS` is set, and otherwise
//! holds that it is up to date.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::{EventKind, FailureKind, Verdict};

const HEAD: &str = "\
# Events, journals and exit codes

Generated from the types in `src/run` (`MUSTER_WRITE_DOCS=1 cargo test --lib docs`); do not edit.

`muster --apply --format json` prints one event on each line, and the journal of a run
(`$XDG_STATE_HOME/muster/runs/RUN/journal.jsonl`, 0600) holds the same lines behind its head:

    {\"muster\":\"journal\",\"format\":1,\"run\":\"01K…\",\"plan\":{…}}

Every event has `seq` (facts count from 1 without a gap; chatter repeats the number of the fact before it), `at` (RFC 3339,
UTC) and `event` (its kind). `step-progressed`, `step-printed` and `cluster-step-progressed` are chatter: they may be
missing and never change the verdict. A step of a whole cluster (un-apply, fence) has events of its own. Kinds and fields may be added in format 1; readers keep what they do not know. A last line without a newline was cut
off and counts as not written. The last event of a run that ended is `run-ended`; where it is missing, muster was killed, and
what was under way is unknown until the next look.

When there is nothing to carry out, `--apply --format json` prints the plan (`{\"muster\":\"plan\",…}`) and a `run-ended`.
";

fn describe(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// The type of a field in a few words.
fn kind(value: &Value) -> String {
    if let Some(name) = value["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return name.to_owned();
    }
    if let Some(choices) = value["anyOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(types) = value["type"].as_array() {
        return types.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ");
    }
    match value["type"].as_str() {
        Some("array") if value["prefixItems"].is_array() => {
            let items = value["prefixItems"].as_array().into_iter().flatten().map(kind);
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Some("array") => format!("list of {}", kind(&value["items"])),
        Some("object") => {
            let values = value["patternProperties"].as_object().and_then(|map| map.values().next());
            let values = values.or_else(|| Some(&value["additionalProperties"]).filter(|v| v.is_object()));
            values.map_or_else(|| "object".to_owned(), |values| format!("map to {}", kind(values)))
        }
        Some(other) => other.to_owned(),
        None => "null".to_owned(),
    }
}

fn fields(text: &mut String, schema: &Value, without: &str) {
    let Some(fields) = schema["properties"].as_object() else { return };
    let fields: Vec<_> = fields.iter().filter(|(name, _)| *name != without).collect();
    if fields.is_empty() {
        return;
    }
    text.push_str("\n| field | is | meaning |\n|---|---|---|\n");
    for (name, field) in fields {
        match field["const"].as_str() {
            Some(word) => writeln!(text, "| `{name}` | `\"{word}\"` | {} |", describe(field)).unwrap(),
            None => writeln!(text, "| `{name}` | {} | {} |", kind(field), describe(field)).unwrap(),
        }
    }
}

/// The alternatives of a value: words, or objects told apart by a word in a field.
fn choices(text: &mut String, schema: &Value) {
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        if let Some(word) = choice["const"].as_str() {
            writeln!(text, "- `\"{word}\"`: {}", describe(choice)).unwrap();
            continue;
        }
        let empty = Map::new();
        let parts = choice["properties"].as_object().unwrap_or(&empty).iter().map(|(name, field)| match field["const"]
            .as_str()
        {
            Some(word) => format!("`\"{name}\":\"{word}\"`"),
            None => format!("`{name}` ({})", kind(field)),
        });
        writeln!(text, "- {}: {}", parts.collect::<Vec<_>>().join(", "), describe(choice)).unwrap();
    }
}

fn exit_codes(text: &mut String) {
    text.push_str("\n## Exit codes\n\nWhen several hold: 130, then 5, 6, 3, 4, 2, 0.\n\n| code | verdict | when |\n|---|---|---|\n");
    let input = Verdict::NotStarted(FailureKind::Input);
    let usage = Verdict::NotStarted(FailureKind::Usage);
    for (verdict, when) in [
        (Verdict::InLine, "nothing was to be done; also of a plan or status that was shown"),
        (Verdict::Converged, "it was done, and a look afterwards found nothing left"),
        (input, "an error; nothing was changed"),
        (Verdict::Pending, "changes are pending; only with `--detailed-exitcode`"),
        (Verdict::NotReached, "not every node reached its goal: failed, rolled back, blocked or not tried"),
        (Verdict::Incomplete, "some nodes are unknown; the rest is in line"),
        (Verdict::Locked, "another run holds a node"),
        (Verdict::Refused, "a safety rule forbids it"),
        (usage, "the command line is wrong"),
        (Verdict::Interrupted, "it was interrupted"),
    ] {
        writeln!(text, "| {} | {} | {when} |", verdict.exit(), verdict.word()).unwrap();
    }
}

fn generated() -> String {
    let schema = serde_json::to_value(schemars::schema_for!(EventKind)).unwrap();
    let mut text = HEAD.to_owned();
    text.push_str("\n## Events\n");
    for event in schema["oneOf"].as_array().unwrap() {
        let word = event["properties"]["event"]["const"].as_str().unwrap();
        write!(text, "\n### {word}\n\n{}\n", describe(event)).unwrap();
        fields(&mut text, event, "event");
        if event["oneOf"].is_array() {
            text.push_str("\nand one of\n\n");
            choices(&mut text, event);
        }
    }
    text.push_str("\n## Values\n");
    for (name, value) in schema["$defs"].as_object().unwrap() {
        write!(text, "\n### {name}\n\n").unwrap();
        match value["pattern"].as_str() {
            Some(pattern) => writeln!(text, "A string that matches `{pattern}`.").unwrap(),
            None => writeln!(text, "{}", describe(value)).unwrap(),
        }
        fields(&mut text, value, "");
        if value["oneOf"].is_array() {
            text.push('\n');
            choices(&mut text, value);
        }
    }
    exit_codes(&mut text);
    text
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a developer's switch for rewriting the page, not the program's environment"
)]
fn the_page_of_events_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    let wanted = generated();
    if std::env::var("MUSTER_WRITE_DOCS").is_ok() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/events.md is behind: run MUSTER_WRITE_DOCS=1 cargo test --lib docs");
}

#[test]
fn every_kind_is_on_the_page() {
    let page = generated();
    let on_page: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### ")).take(EventKind::WORDS.len()).collect();
    assert_eq!(on_page, EventKind::WORDS);
}
