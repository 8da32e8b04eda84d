//! Every text of the table as a real Kong wrote it, every page, and what must hold for any text at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// Where a text was recorded (the number of the transcript; `source`: facts.md B4 and A2, read and not run), the text, what it
/// is, and the plugin in it.
const RECORDED: &[(&str, &str, Cause, Option<&str>)] = &[
    (
        "07b",
        "2026/11/20 07:11:48 [crit] 9175#9175: *3893 [lua] init.lua:925: init_worker(): worker initialization error: failed to \
         initialize declarative config: error building initial plugins iterator: hello plugin is in use but not enabled; this node \
         must be restarted, context: init_worker_by_lua*",
        Cause::WorkersBroken,
        Some("hello"),
    ),
    (
        "07b",
        "2026/11/20 07:13:33 [alert] 14777#14777: *2590 [lua] init.lua:1152: rewrite(): unsafe request processing due to earlier \
         initialization errors; this node must be restarted (failed to initialize declarative config: error building initial \
         plugins iterator: hello plugin is in use but not enabled), client: 127.0.0.1, server: kong",
        Cause::WorkersBroken,
        Some("hello"),
    ),
    (
        "08",
        "2026/11/20 07:16:56 [error] 17631#17631: *5840 lua entry thread aborted: runtime error: /lab/kong/init.lua:313: attempt to \
         index local 'plugins_iterator' (a nil value)",
        Cause::WorkersBroken,
        None,
    ),
    (
        "03",
        "2026/11/20 07:02:03 [error] 10487#10487: init_by_lua error: /lab/kong/init.lua:708: error loading plugin schemas: on plugin \
         'nofiles': nofiles plugin is enabled but not installed;\nno plugin found",
        Cause::NotInstalled,
        Some("nofiles"),
    ),
    (
        "17",
        "Error: attempt to index upvalue 'kong' (a nil value)\n\n  Run with --v (verbose)",
        Cause::NotInstalled,
        None,
    ),
    (
        "source",
        "2026/11/20 07:02:03 [error] 10487#10487: init_by_lua error: /lab/kong/init.lua:708: error loading plugin schemas: on plugin \
         '':  plugin is enabled but not installed;\nno plugin found",
        Cause::EmptyName,
        None,
    ),
    (
        "03",
        "2026/11/20 07:02:33 [error] 10487#10487: init_by_lua error: /lab/kong/init.lua:708: error loading plugin schemas: on plugin \
         'noschema': no configuration schema found for plugin: noschema",
        Cause::NoSchema,
        Some("noschema"),
    ),
    (
        "03",
        "2026/11/20 07:02:43 [error] 10487#10487: init_by_lua error: /lab/kong/init.lua:708: error loading plugin schemas: on plugin \
         'nover': Plugin \"nover\" cannot be loaded because its VERSION field does not follow the \"x.y.z\" format, got: \"nil\".",
        Cause::BadVersion,
        Some("nover"),
    ),
    (
        "03",
        "2026/11/20 07:02:48 [error] 10487#10487: init_by_lua error: /lab/kong/init.lua:708: error loading plugin schemas: on plugin \
         'noprio': Plugin \"noprio\" cannot be loaded because its PRIORITY field is not a valid integer number, got: \"nil\".",
        Cause::BadPriority,
        Some("noprio"),
    ),
    (
        "source",
        "2026/11/20 07:02:48 [error] 1#1: init_by_lua error: /lab/kong/init.lua:708: error loading plugin schemas: on plugin 'f': \
         Plugin \"f\" can't be loaded because it implements both `response` and `header_filter` or `body_filter` methods.\n",
        Cause::ConflictingPhases,
        Some("f"),
    ),
    (
        "05b",
        "2026/11/20 07:14:11 [error] 15531#15531: *704 [lua] handler.lua:1034: could not rebuild plugins iterator via timer: hello \
         plugin is in use but not enabled, context: ngx.timer",
        Cause::PluginsFrozen,
        Some("hello"),
    ),
    (
        "20",
        "2026/11/20 07:45:20 [error] 1#1: init_by_lua error: /lab/kong/init.lua:662: error building initial plugins: hello plugin is in \
         use but not enabled",
        Cause::InUseNotEnabled,
        Some("hello"),
    ),
    (
        "05",
        "{\"code\":2,\"message\":\"schema violation (name: plugin 'hello' not enabled; add it to the 'plugins' configuration \
         property)\",\"fields\":{\"name\":\"plugin 'hello' not enabled; add it to the 'plugins' configuration property\"},\"name\":\
         \"schema violation\"}",
        Cause::ConfiguredNotEnabled,
        Some("hello"),
    ),
    (
        "07",
        "Error: Failed parsing:\nin 'plugins':\n  - in entry 1 of 'plugins':\n    in 'name': plugin 'nosuch' not enabled; add it to \
         the 'plugins' configuration property",
        Cause::ConfiguredNotEnabled,
        Some("nosuch"),
    ),
    (
        "16",
        "{\"code\":2,\"name\":\"schema violation\",\"fields\":{\"config\":{\"nope\":\"unknown field\"}},\"message\":\"schema violation \
         (config.nope: unknown field)\"} 400",
        Cause::RowInvalid,
        None,
    ),
    ("16", "{\"message\":\"No plugin named 'nonesuch'\"}", Cause::NotLoaded, Some("nonesuch")),
    (
        "07",
        "{\"name\":\"operation unsupported\",\"message\":\"cannot create 'plugins' entities when not using a database\",\"code\":12} 405",
        Cause::NoDatabaseWrites,
        None,
    ),
    (
        "16",
        "{\"fields\":{\"consumer\":null,\"route\":null,\"service\":null,\"name\":\"hello\"},\"code\":5,\"message\":\"UNIQUE violation \
         detected on '{consumer=null,name=\\\"hello\\\",route=null,service=null}'\",\"name\":\"unique constraint violation\"}",
        Cause::RowExists,
        None,
    ),
    (
        "16",
        "{\"code\":4,\"name\":\"foreign key violation\",\"fields\":{\"@referenced_by\":\"routes\"},\"message\":\"an existing 'routes' \
         entity references this 'services' entity\"} 400",
        Cause::RowReferenced,
        None,
    ),
    (
        "07",
        "2026/11/20 07:10:00 [error] 1#1: init_by_lua error: /lab/kong/init.lua:731: error parsing declarative config file \
         /lab/nodes/d/kong.yml:\nin 'services':\n  - in entry 1 of 'services':\n    in 'url': invalid path",
        Cause::DeclarativeInvalid,
        None,
    ),
    (
        "07",
        "Error: Failed parsing:\nunknown file type: /lab/nodes/d/kong.yml.orig. (Accepted types: json, yaml)",
        Cause::DeclarativeInvalid,
        None,
    ),
    (
        "07",
        "{\"code\":14,\"fields\":{\"services\":[{}]},\"message\":\"declarative config is invalid: {services={}}\",\"name\":\"invalid \
         declarative configuration\"}",
        Cause::DeclarativeInvalid,
        None,
    ),
    (
        "12",
        "Error: [declarative] 3 schema violations (fields: expected an array; name: field required for entity check; no_consumer: \
         unknown field)",
        Cause::OldStyle,
        None,
    ),
    (
        "source",
        "2026/11/20 07:10:00 [error] 1#1: init_by_lua error: ...ab/kong/tools/module.lua:29: error loading module \
         'kong.plugins.old.handler':\n/lab/kong/plugins/old/handler.lua:1: module 'kong.plugins.base_plugin' not found:No LuaRocks",
        Cause::OldStyle,
        Some("old"),
    ),
    (
        "03",
        "2026/11/20 07:02:38 [error] 10487#10487: init_by_lua error: /lab/kong/init.lua:708: error loading plugin schemas: on plugin \
         'sbad': [off] schema violation (fields.3: {\n  fields = {\n    }\n})",
        Cause::SchemaViolation,
        Some("sbad"),
    ),
    (
        "05b",
        "2026/11/20 07:14:47 [error] 31573#31573: init_by_lua error: ...kong/cmd/utils/migrations.lua:20: New migrations available; run \
         'kong migrations up' to proceed",
        Cause::MigrationsPending,
        None,
    ),
    ("source", "Error: Database needs bootstrapping or is older than Kong 1.0.", Cause::MigrationsPending, None),
    (
        "03",
        "2026/11/20 07:03:13 [error] 10487#10487: init_by_lua error: ...kong/db/dao/plugins.lua:288: attempt to index local 'handler' (a \
         boolean value)",
        Cause::ReturnsNothing,
        None,
    ),
    (
        "14",
        "2026/11/20 07:34:04 [error] 18532#18532: init_by_lua error: /lab/kong/init.lua:642: could not load config file: \
         /lab/nodes/u/prefix/.kong_env: Permission denied",
        Cause::EnvUnreadable,
        None,
    ),
    (
        "14",
        "Error: could not load config file: /lab/nodes/u/prefix/.kong_env: Permission denied",
        Cause::EnvUnreadable,
        None,
    ),
    (
        "01",
        "Error: [PostgreSQL error] failed to retrieve PostgreSQL server_version_num: connection refused",
        Cause::DatabaseUnreachable,
        None,
    ),
    ("source", "Error: failed to retrieve PostgreSQL server_version_num: timeout", Cause::DatabaseUnreachable, None),
    (
        "10",
        "2026/11/20 07:28:54 [emerg] 4910#4910: SSL_CTX_load_verify_locations(\"/lab/nodes/l/prefix/.ca_combined\") failed (SSL: \
         error:05800088:x509 certificate routines::no certificate or crl found)",
        Cause::PrefixRace,
        None,
    ),
    (
        "03b",
        "Error: could not prepare Kong prefix at /lab/nodes/e/prefix: nginx configuration is invalid (exit code 1):",
        Cause::NginxRefused,
        None,
    ),
    (
        "03b",
        "nginx: [emerg] unknown directive \"bogus_directive\" in /lab/nodes/e/prefix/nginx-kong.conf:30",
        Cause::NginxRefused,
        None,
    ),
    (
        "01",
        "2026/11/20 06:58:37 [error] log_level has an invalid value: 'loud' (debug, info, notice, warn, error, crit, alert, emerg)",
        Cause::InvalidSetting,
        None,
    ),
    ("03b", "Error: proxy_listen must be of form: [off] | <ip>:<port> [ssl] [http2]", Cause::InvalidSetting, None),
    ("01", "2026/11/20 06:58:38 [error] no file at: /lab/nodes/a/missing.conf", Cause::ConfNotFound, None),
    ("01", "Error: no such prefix: /usr/local/kong", Cause::PrefixNotFound, None),
    ("01", "Error: nginx not running in prefix: /lab/nodes/a/prefix", Cause::NotRunning, None),
    ("01", "Error: Kong is not running at /lab/nodes/a/prefix", Cause::NotRunning, None),
    ("14b", "Error: Kong is already running in /lab/nodes/l/prefix", Cause::AlreadyRunning, None),
    (
        "08",
        "2026/11/20 07:16:19 [warn] 16994#16994: *2598 [lua] control_plane.lua:439: [clustering] unable to send updated configuration \
         to data plane: configured hello plugin 1.0.0 is missing from data plane [id: aab064fa, host: vm, ip: 127.0.0.1]",
        Cause::DataPlaneLacksPlugin,
        Some("hello"),
    ),
    (
        "08",
        "2026/11/20 07:18:35 [warn] 18908#18908: *1299 [lua] control_plane.lua:439: [clustering] unable to send updated configuration \
         to data plane: configured data plane hello plugin version 2.0.0 is different to control plane plugin version 1.0.0 [id: a]",
        Cause::DataPlaneVersion,
        Some("hello"),
    ),
    (
        "03",
        "{\"message\":\"router builds not yet complete, router ready in 0 of 2 workers\"} ready 503",
        Cause::NotReady,
        None,
    ),
    (
        "08",
        "2026/11/20 07:17:57 [warn] 18212#18212: *2591 [lua] data_plane.lua:156: communicate(): [clustering] connection to control \
         plane wss://127.0.0.1:41305/v1/outlet?node_id=a broken: failed to connect: connection refused (retrying after 5 seconds)",
        Cause::ControlPlaneUnreachable,
        None,
    ),
    (
        "08",
        "2026/11/20 07:17:35 [crit] 16993#16993: *1723 [lua] init.lua:293: [cluster_events] no 'at' in shm, polling events from: \
         1795159045.379, context: ngx.timer",
        Cause::MemoryCleared,
        None,
    ),
    (
        "03",
        "2026/11/20 07:02:18 [error] 1#1: init_by_lua error: ...ab/kong/tools/module.lua:29: error loading module \
         'kong.plugins.ssyntax.schema':\nerror loading module 'kong.plugins.ssyntax.schema' from file \
         '/lab/kong/plugins/ssyntax/schema.lua':\n\t/lab/kong/plugins/ssyntax/schema.lua:3: unexpected symbol near '}'",
        Cause::SyntaxError,
        Some("ssyntax"),
    ),
    (
        "12",
        "Error: error loading module 'kong.plugins.moesif.handler':\n/lab/kong/plugins/moesif/log.lua:25: module 'zlib' not found:\n\tno \
         field package.preload['zlib']",
        Cause::MissingModule,
        Some("moesif"),
    ),
    (
        "12",
        "Error: error loading module 'kong.plugins.header-based-rate-limiting.daos':\n\
         .../plugins/header-based-rate-limiting/rate_limit_model.lua:1: module 'classic' not found:\n\tno field package.preload",
        Cause::MissingModule,
        Some("header-based-rate-limiting"),
    ),
    (
        "15",
        "2026/11/20 07:36:54 [warn] 7211#7211: *1289 [kong] handler.lua:4 [lazy] lazy log phase in pid 7211 util: module \
         'kong.plugins.lazy.util' not found:\n\tno field package.preload",
        Cause::MissingModule,
        Some("lazy"),
    ),
    (
        "03",
        "2026/11/20 07:03:00 [error] 1#1: init_by_lua error: ...ab/kong/tools/module.lua:29: error loading module \
         'kong.plugins.boom.handler':\n/lab/kong/plugins/boom/handler.lua:1: boom at load\nstack traceback:\n\t[C]: in function 'error'",
        Cause::ErrorAtLoad,
        Some("boom"),
    ),
    ("source", "2026/11/20 07:03:00 [error] 1#1: init_by_lua error: never seen before", Cause::Other, None),
];

/// What good reloads wrote [02, 09, 15], and what a control plane says of a plugin that nobody configured [08].
const NOISE: &[&str] = &[
    "2026/11/20 07:02:38 [error] 20937#20937: *7786 [lua] worker.lua:325: communicate(): event worker failed to communicate with broker \
     (failed to receive the header bytes: closed), context: ngx.timer",
    "2026/11/20 07:02:38 [alert] 1#1: open socket #12 left in connection 5",
    "2026/11/20 07:02:38 [error] 1#1: *5 [lua] kong.lua:102: fn(): could not get worker process id for worker #1: not found, client: \
     127.0.0.1, server: kong_admin",
    "2026/11/20 07:02:38 [alert] 1#1: worker process 20921 exited on signal 9",
    "2026/11/20 07:16:19 [warn] 1#1: *2 [lua] init.lua:117: check_version_compatibility(): [clustering] hello plugin 1.0.0 is missing \
     from data plane [id: a]",
    "2026/11/20 07:02:38 [notice] 1#1: start worker processes",
    "2026/11/20 07:02:38 [warn] found and cleared 1 stale readers from LMDB",
];

#[test]
fn every_recorded_text_is_told_as_what_it_was() {
    for (transcript, text, cause, plugin) in RECORDED {
        let found = diagnose(text.as_bytes());
        assert_eq!(found.len(), 1, "{transcript}: {text}: {found:#?}");
        let found = &found[0];
        assert_eq!(
            (found.cause, found.plugin.as_ref().map(PluginName::as_str)),
            (*cause, *plugin),
            "{transcript}: {text}"
        );
        assert!(text.starts_with(found.raw.trim_end_matches('…')) && !found.words.is_empty(), "{found:?}");
        assert_eq!(unexplained(text.as_bytes()), [""; 0], "{text}");
    }
}

#[test]
fn every_sign_and_every_cause_has_a_recorded_text() {
    for entry in TABLE {
        assert!(RECORDED.iter().any(|(_, _, cause, _)| *cause == entry.cause), "{}", entry.code);
        for sign in entry.signs {
            let shown = RECORDED.iter().any(|(_, text, cause, _)| *cause == entry.cause && text.contains(sign.text));
            assert!(shown, "{}: {}", entry.code, sign.text);
        }
    }
}

#[test]
fn noise_of_good_reloads_is_neither_a_reason_nor_unexplained() {
    let log = NOISE.join("\n");
    assert_eq!(diagnose(log.as_bytes()), []);
    assert_eq!(unexplained(log.as_bytes()), [""; 0]);
}

#[test]
fn what_nobody_knows_stays_as_it_was_said() {
    let line = "2026/11/20 07:02:38 [error] 1#1: *5 [lua] something new broke";
    let log = format!("{}\n{line}\n\tmore of it\n{line}\n", NOISE[0]);
    assert_eq!(diagnose(log.as_bytes()), []);
    assert_eq!(unexplained(log.as_bytes()), [line]);
}

#[test]
fn what_a_plugin_writes_into_the_log_is_not_taken_for_what_a_command_says() {
    let line = "2026/11/20 07:02:38 [error] 1#1: *5 [kong] handler.lua:3 [acme] limit has an invalid value: 'x'; no file at: /y";
    assert_eq!(diagnose(line.as_bytes()), []);
    assert_eq!(unexplained(line.as_bytes()), [line]);
}

#[test]
fn what_only_follows_a_failure_is_told_behind_it() {
    let mark = RECORDED.iter().find(|(_, _, cause, _)| *cause == Cause::MemoryCleared).unwrap().1;
    let failure = RECORDED.iter().find(|(_, _, cause, _)| *cause == Cause::NoSchema).unwrap().1;
    let causes: Vec<Cause> =
        diagnose(format!("{mark}\n{failure}\n").as_bytes()).into_iter().map(|found| found.cause).collect();
    assert_eq!(causes, [Cause::NoSchema, Cause::MemoryCleared]);
}

#[test]
fn an_answer_is_told_by_its_message() {
    let body = RECORDED.iter().find(|(_, _, cause, _)| *cause == Cause::NoDatabaseWrites).unwrap().1;
    assert_eq!(diagnose(body.as_bytes())[0].words, "cannot create 'plugins' entities when not using a database");
}

#[test]
fn codes_are_the_words_that_are_serialized_and_every_cause_has_its_entry() {
    let mut seen = BTreeSet::new();
    for entry in TABLE {
        assert_eq!(serde_json::to_value(entry.cause).unwrap(), entry.code);
        assert!(seen.insert(entry.code), "{} twice", entry.code);
        assert_eq!(Cause::of_code(entry.code), Some(entry.cause));
        assert!(![entry.title, entry.meaning, entry.fix].iter().any(|text| text.is_empty()), "{}", entry.code);
        assert!(entry.cause == Cause::Other || entry.cause.code() != "other");
    }
    assert_eq!(TABLE[TABLE.len() - 1].cause, Cause::Other);
    assert_eq!(Cause::of_code("no-such-word"), None);
}

const SECTIONS: [&str; 5] = ["## What you see", "## What it means", "## What to do", "## How to check", "## Versions"];

#[test]
fn every_code_has_a_page_that_says_all_there_is_to_say() {
    for entry in TABLE {
        assert_eq!(entry.page.lines().next(), Some(format!("# {}: {}", entry.code, entry.title).as_str()));
        let mut rest = entry.page;
        for section in SECTIONS {
            let (_, below) = rest.split_once(section).unwrap_or_else(|| panic!("{} lacks {section}", entry.code));
            let text = below.split("\n## ").next().unwrap_or_default();
            assert!(text.trim().len() > 3, "{}: {section} is empty", entry.code);
            rest = below;
        }
        for sign in entry.signs.iter().take(1) {
            assert!(entry.page.contains(sign.text.trim().trim_end_matches(':')), "{}: {}", entry.code, sign.text);
        }
    }
}

/// `docs/errors/README.md` and the directory, against the table. `MUSTER_WRITE_DOCS=1` writes the index anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test that writes the documents when it is told to")]
fn every_page_has_a_code_and_the_index_names_all() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors");
    let mut index = String::from(
        "# What Kong says when it fails\n\nOne page for each failure that muster knows. `muster errors` lists them, and \
         `muster errors CODE`\nprints a page, without the repository. A line that muster does not know is shown as Kong wrote it.\n\n\
         | code | what it is | what to do |\n|---|---|---|\n",
    );
    let sorted: BTreeMap<&str, &Entry> = TABLE.iter().map(|entry| (entry.code, entry)).collect();
    for entry in sorted.values() {
        let Entry { code, title, fix, .. } = entry;
        index += &["| [", code, "](", code, ".md) | ", title, " | ", fix, " |\n"].concat();
    }
    let place = dir.join("README.md");
    if std::env::var("MUSTER_WRITE_DOCS").is_ok() {
        std::fs::write(&place, &index).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&place).unwrap(), index, "MUSTER_WRITE_DOCS=1 cargo test --lib diagnosis");
    let files = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let pages: BTreeSet<String> = files.filter(|name| name != "README.md").collect();
    let wanted: BTreeSet<String> = TABLE.iter().map(|entry| format!("{}.md", entry.code)).collect();
    assert_eq!(pages, wanted);
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = (0..RECORDED.len()).prop_map(|at| RECORDED[at].1.as_bytes().to_vec());
    let cut =
        (0..RECORDED.len(), any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(at, from, to)| {
            let text = RECORDED[at].1.as_bytes();
            let (from, to) = (from.index(text.len()), to.index(text.len()));
            text[from.min(to)..from.max(to)].to_vec()
        });
    prop_oneof![
        known,
        cut,
        prop::collection::vec(any::<u8>(), 0..80),
        "[ -~\u{202e}\u{1b}\u{fffd}'\":;{}\\[\\]#\n]{0,80}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_no_grave_line_is_lost(
        pieces in prop::collection::vec(pieces(), 0..8),
        between in prop_oneof![Just(b"\n".to_vec()), Just(Vec::new())],
    ) {
        let log = pieces.join(&between[..]);
        let (found, unknown) = (diagnose(&log), unexplained(&log));
        for text in found.iter().flat_map(|one| [&one.words, &one.raw]).chain(&unknown) {
            prop_assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
            prop_assert!(text.chars().count() <= 401);
        }
        for entry in read_entries(&log).iter().filter(|entry| is_failure(entry)) {
            let line = first_line(entry);
            let same = read_entry(entry);
            let kept = unknown.contains(&line)
                || found.iter().any(|one| one.raw == line)
                // Said before, in the same words and of the same place.
                || same.iter().all(|again| found.iter().any(|one| (one.cause, &one.plugin) == (again.cause, &again.plugin)));
            prop_assert!(kept, "{line}");
        }
    }
}
