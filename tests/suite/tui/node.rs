//! One node: its sections, its differences in both layouts, its error log; and answers that come late or never.

use std::sync::Arc;

use crossterm::event::KeyCode;
use jiff::SignedDuration;
use muster::diff::{
    Agreement, CloserLook, Comparison, Disagreement, Fact, FileState, Inspection, Lack, Mark, Planned, PluginFiles,
    Reaches, ReceiptFacts, SettingOrigin, Truths, Who,
};
use muster::hint::Hint;
use muster::inventory::State;
use muster::kong::Conf;
use muster::kong::origin::{Chain, ConfFile, Environment, Places, Seen};
use muster::kong::search_path::Reach;
use muster::kong::service::Unit;
use muster::name::NodePath;
use muster::survey::LogTail;
use muster::tui::{DiffAbout, Look, Message, Notice};

use super::fixture::{cluster, looked, node, planned};
use super::screens::{seen, to_run};
use super::script::{Act, Played, enter, key, play, say, start, typed};

const HANDLER: &str = "kong/plugins/acme-auth/handler.lua";

fn fact(group: &'static str, name: &str, value: &str, source: &str, odd: bool) -> Fact {
    Fact { group, name: name.into(), value: value.into(), source: source.into(), odd }
}

fn facts() -> Vec<Fact> {
    let path =
        "/var/lib/muster/current/acme-auth/?.lua;/usr/local/share/lua/5.1/?.lua;/usr/local/share/lua/5.1/?/init.lua;;";
    vec![
        fact("kong", "version", "3.9.1, community", "Admin API", false),
        fact("kong", "master", "pid 812, uid 997, since 2026-11-19 08:12:44 UTC", "survey: processes", false),
        fact("kong", "workers", "2 serving, the newest since 2026-11-20 13:40:02 UTC", "survey: processes", false),
        fact("settings", "plugins", "bundled,acme-auth", "kong.conf, line 14", true),
        fact("settings", "plugins", "bundled", ".kong_env; workers, by the Admin API", true),
        fact("settings", "lua_package_path", path, "kong.conf, line 15; .kong_env", false),
        fact("paths", "kong.conf", "/etc/kong/kong.conf, mode 640, owner 0:997", "inventory; survey: files", false),
        fact("machine", "clock", "2026-11-20 14:02:13 UTC, 3 s after the look began", "survey: machine", false),
        fact("muster", "held by", "nobody", "lease", false),
    ]
}

fn file(path: &str, state: Mark) -> FileState {
    FileState { path: path.into(), state, found: None, wanted: None, kind: None }
}

fn plugins() -> Vec<PluginFiles> {
    let truths = |files, directive| Truths { files, directive, loaded: Mark::AsWanted, used: Mark::Absent };
    let plugin = |name: &str, version: &str, files: Vec<FileState>| PluginFiles {
        name: name.into(),
        wanted: State::Present,
        version: Some(version.into()),
        truths: truths(Mark::Differs, Mark::AsWanted),
        remarks: Vec::new(),
        files,
        cut: false,
    };
    vec![
        plugin(
            "acme-auth",
            "2.1.0",
            vec![
                file(HANDLER, Mark::Differs),
                file("kong/plugins/acme-auth/lib/debug.lua", Mark::Extra),
                file("kong/plugins/acme-auth/lib/jwt.lua", Mark::Missing),
                file("kong/plugins/acme-auth/schema.lua", Mark::AsWanted),
            ],
        ),
        plugin("geo-ip", "1.0.0", vec![file("kong/plugins/geo-ip/handler.lua", Mark::AsWanted)]),
    ]
}

/// `plugins` set by the environment of the unit, which beats kong.conf, where it stands twice; a search path that agrees.
fn settings() -> Vec<SettingOrigin> {
    let conf = Conf::parse(
        "plugins = bundled\nlua_package_path = /opt/lua/?.lua;;\nPLUGINS = x\nplugins = bundled,\\\n acme-auth\n[later]\nplugins = y\n",
    );
    let shown = "Id=kong.service\nLoadState=loaded\nMainPID=812\nDropInPaths=\nEnvironment=KONG_PLUGINS=bundled\n";
    let unit = Unit::read("kong.service", shown, "", &std::collections::BTreeMap::new(), true).unwrap();
    let chain = |key, env: &'static str| {
        let places = Places {
            conf: (ConfFile::Read(&conf), "/etc/kong/kong.conf"),
            environment: Environment::Unit(&unit),
            beside: None,
            env: (Seen::Set(env), "/usr/local/kong/.kong_env"),
            running: Seen::Set(env),
        };
        Chain::of(key, places)
    };
    let what = "the next start has other plugins than what runs: the environment of kong.service has \"bundled\"; the next reload \
                (.kong_env) and the workers have \"bundled,acme-auth\"";
    let fix = "write  Environment=\"KONG_PLUGINS=bundled,acme-auth\"  below [Service] in \
               /etc/systemd/system/kong.service.d/zz-muster.conf, then type: systemctl daemon-reload";
    let disagreement = Disagreement {
        key: "plugins",
        agreement: Agreement::StartDiffers,
        start_at: "the environment of kong.service".into(),
        start: Some("bundled".into()),
        reload: Some("bundled,acme-auth".into()),
        running: Some("bundled,acme-auth".into()),
        what: what.into(),
        fix: fix.into(),
    };
    let plugins = SettingOrigin {
        chain: chain("plugins", "bundled,acme-auth"),
        disagreement: Some(disagreement),
        reaches: None,
        lacks: Vec::new(),
    };
    let root = "/opt/lua".to_owned();
    let reaches =
        Reaches { root, running: Some(Reach::NoInit), reload: Some(Reach::NoInit), start: Some(Reach::NoInit) };
    let lack = Lack {
        who: Who::Start,
        reach: Reach::NoInit,
        what: "at the next start lua_package_path finds /opt/lua/?.lua and not /opt/lua/?/init.lua".into(),
        fix: "write  lua_package_path = /opt/lua/?.lua;/opt/lua/?/init.lua;;  into /etc/kong/kong.conf and reload"
            .into(),
    };
    let path = SettingOrigin {
        chain: chain("lua_package_path", "/opt/lua/?.lua;;"),
        disagreement: None,
        reaches: Some(reaches),
        lacks: vec![lack],
    };
    vec![plugins, path]
}

fn conf() -> Comparison {
    let before =
        Conf::parse("# ours\npg_password = s3cret\nlog_level = notice\nplugins = bundled,acme-auth\npg_user = k\n");
    let after = Conf::parse(before.set("plugins", "bundled,acme-auth,request-tag").unwrap());
    Comparison::of_conf("/etc/kong/kong.conf", &before, &after).between("as it is", "as the plan writes it")
}

fn receipt(step: u32, result: Option<&str>, ago: i64) -> ReceiptFacts {
    ReceiptFacts {
        run: "01JD3MVSTER00000000000000A".into(),
        at: start() - SignedDuration::from_secs(ago),
        step,
        commit: Some("3f2a91c7".into()),
        result: result.map(str::to_owned),
        did: vec!["link acme-auth".into()],
        content: if result == Some("changed") { vec!["acme-auth 9f9f9f9f9f9f".into()] } else { Vec::new() },
    }
}

fn inspection() -> Inspection {
    Inspection {
        node: node("eu-3"),
        cluster: cluster("eu-prod"),
        looked: start() - SignedDuration::from_secs(170),
        state: ('~', "drift"),
        remarks: Vec::new(),
        hints: Vec::new(),
        facts: facts(),
        settings: settings(),
        plugins: plugins(),
        planned: Planned {
            changes: vec![
                "+ install request-tag 1.4.0: handler, schema, 2 more files".into(),
                "~ repair acme-auth 2.1.0".into(),
            ],
            directive: Some(("bundled,acme-auth".into(), "bundled,acme-auth,request-tag".into())),
            conf: Some(conf()),
            blocked: vec!["pending-settings: any reload would also apply log_level".into()],
        },
        receipts: vec![receipt(4, Some("changed"), 90_000)],
        log: NodePath::parse("/usr/local/kong/logs/error.log").ok(),
    }
}

fn log() -> LogTail {
    let line = |n: u32, level: &str, text: &str| format!("2026/11/20 14:0{n}:02 [{level}] 812#0: {text}");
    let stack =
        format!("init_by_lua error: {}", "/usr/local/share/lua/5.1/kong/init.lua:553: in function 'init' ".repeat(9));
    let mut lines = vec![line(0, "notice", "signal process started"), line(1, "warn", "upstream is slow")];
    lines.extend((0..60).map(|_| line(2, "notice", "a worker says something")));
    lines.extend([line(3, "error", &stack), line(4, "error", "\u{fffd}[2J module 'resty.jwt' not found")]);
    LogTail { path: "/usr/local/kong/logs/error.log".into(), length: 9_000_000, lines, cut: true }
}

fn closer() -> CloserLook {
    CloserLook {
        clock: (1_795_183_500, 1_795_183_501),
        receipts: vec![
            receipt(5, None, 300),
            receipt(4, Some("changed"), 90_000),
            receipt(2, Some("undone proved"), 180_000),
        ],
        receipts_all: Some(31),
        log: Ok(log()),
    }
}

fn notice() -> Notice {
    Notice {
        text: "connecting to eu-3: connection timed out after 10 s".into(),
        details: Vec::new(),
        hints: vec![Hint::type_("ssh eu-3 true")],
    }
}

fn inspected() -> Vec<Act> {
    say(Message::Inspected(Arc::new(inspection())))
}

fn answered(answer: Result<CloserLook, Notice>) -> Vec<Act> {
    say(Message::Answered(node("eu-3"), answer.map(Arc::new)))
}

/// On the screen of the node, before anything was answered.
fn opened() -> Vec<Act> {
    [say(looked()), typed("jjj"), enter()].concat()
}

/// The same, with everything there.
fn complete() -> Vec<Act> {
    [opened(), inspected(), answered(Ok(closer()))].concat()
}

/// The same key so many times.
fn typed_times(code: KeyCode, times: usize) -> Vec<Act> {
    vec![Act::Key(code, crossterm::event::KeyModifiers::NONE); times]
}

/// So many sections further.
fn tabs(number: usize) -> Vec<Act> {
    typed_times(KeyCode::Tab, number)
}

fn old() -> String {
    let mut text = String::from(
        "local BasePlugin = require \"kong.plugins.base\"\n\nlocal M = { PRIORITY = 1000 }\nM.VERSION = \"2.0.3\"\n",
    );
    text.push_str(&(0..40).map(|n| format!("local line_{n} = {n} -- as it was\n")).collect::<Vec<_>>().concat());
    text.push_str("function M:access(conf)\n\tkong.log.err(\"by hand\")\n  return kong.response.exit(401, { message = \"no\" })\nend\nreturn M\n");
    text
}

fn new() -> String {
    old().replace("2.0.3", "2.1.0").replace("\tkong.log.err(\"by hand\")\n", "").replace("401", "403")
}

fn about(path: Option<&str>) -> DiffAbout {
    DiffAbout::Files(node("eu-3"), "acme-auth".into(), path.map(str::to_owned))
}

fn compared(path: Option<&str>, files: Vec<Comparison>) -> Vec<Act> {
    say(Message::Compared(about(path), Ok(Arc::new(files.into_iter().map(Arc::new).collect()))))
}

fn handler() -> Comparison {
    Comparison::of(HANDLER, old().as_bytes(), new().as_bytes()).between("on eu-3", "wanted by acme-auth")
}

/// On the difference of the handler, its content asked for.
fn on_handler() -> Vec<Act> {
    [complete(), tabs(4), typed("jjj"), enter()].concat()
}

fn played(script: &[Vec<Act>]) -> Played {
    play((80, 24), Look::FULL, script.concat())
}

fn has(screen: &str, words: &[&str]) {
    for words in words {
        assert!(screen.contains(words), "{words:?} is not on:\n{screen}");
    }
}

#[test]
fn the_sections_of_a_node() {
    seen("node-complete", &[complete()]);
    for (at, name) in ["plugins", "planned", "settings", "files", "facts", "receipts", "log"].iter().enumerate() {
        seen(&format!("node-{name}"), &[complete(), tabs(at + 1)]);
    }
}

#[test]
fn what_comes_late_is_waited_for_in_words() {
    seen("node-asking", &[opened(), inspected()]);
    let nothing_yet = played(&[opened()]);
    has(&nothing_yet.screen, &["asking eu-3", "looking it up", "handler.lua differs"]);
    assert_eq!(nothing_yet.asked, ["inspect eu-3", "ask eu-3"]);
}

#[test]
fn what_never_comes_says_why_and_what_to_do() {
    let script = [opened(), inspected(), answered(Err(notice())), tabs(7)].concat();
    seen("node-no-answer", std::slice::from_ref(&script));
    has(&played(&[script]).screen, &["timed out after 10 s", "type: ssh eu-3 true"]);
    let log = played(&[opened(), inspected(), answered(Err(notice())), typed("L"), answered(Err(notice()))]);
    has(&log.screen, &["error log of eu-3", "timed out after 10 s", "type: ssh eu-3 true"]);
}

#[test]
fn what_was_known_stays_when_the_next_answer_does_not_come() {
    let script = [complete(), typed("L"), answered(Err(notice()))].concat();
    has(&played(&[script]).screen, &["resty.jwt", "timed out after 10 s"]);
}

#[test]
fn a_difference_below_and_beside() {
    seen("node-diff-asking", &[on_handler()]);
    seen("node-diff", &[on_handler(), compared(Some(HANDLER), vec![handler()])]);
    seen("node-diff-next", &[on_handler(), compared(Some(HANDLER), vec![handler()]), typed("n")]);
    let asked = played(&[on_handler()]).asked;
    assert_eq!(asked.last().map(String::as_str), Some(format!("compare {:?}", about(Some(HANDLER))).as_str()));
}

#[test]
fn long_lines_of_a_difference_can_be_gone_along() {
    let long = format!("local x = \"{}THE END\"\n", "-".repeat(100));
    let files = vec![Comparison::of(HANDLER, b"", long.as_bytes())];
    let screen = |keys: Vec<Act>| played(&[on_handler(), compared(Some(HANDLER), files.clone()), keys]).screen;
    assert!(!screen(Vec::new()).contains("THE END"));
    has(&screen(typed_times(KeyCode::Right, 8)), &["THE END"]);
}

#[test]
fn the_difference_of_a_plugin_is_that_of_all_its_files() {
    let asked = played(&[complete(), tabs(4), typed("jd")]).asked;
    assert_eq!(asked.last().map(String::as_str), Some(format!("compare {:?}", about(None)).as_str()));
    let other = Comparison::of("kong/plugins/acme-auth/lib/debug.lua", b"print(1)\n", b"");
    let script = [complete(), tabs(4), typed("jd"), compared(None, vec![handler(), other])].concat();
    seen("node-diff-plugin", &[script]);
    let quiet = played(&[complete(), tabs(4), typed_times(KeyCode::Down, 8), typed("d")]);
    has(&quiet.screen, &["no file of geo-ip differs"]);
}

#[test]
fn a_file_that_is_not_given_says_why() {
    let why = Notice { text: "handler.lua on eu-3 leads out of the Lua root".into(), details: vec![], hints: vec![] };
    let script = [on_handler(), say(Message::Compared(about(Some(HANDLER)), Err(why)))].concat();
    has(&played(&[script]).screen, &["leads out of the Lua root"]);
}

#[test]
fn an_answer_for_another_file_is_not_shown() {
    let script = [on_handler(), compared(Some("kong/plugins/acme-auth/schema.lua"), vec![handler()])].concat();
    has(&played(&[script]).screen, &["asking the node for its content"]);
}

#[test]
fn the_edit_of_kong_conf_shows_no_secret() {
    let script = [complete(), tabs(2), typed("jjjjj"), enter()].concat();
    seen("node-conf", std::slice::from_ref(&script));
    let screen = played(&[script]).screen;
    has(&screen, &["+ plugins = bundled,acme-auth,request-tag", "(not shown)"]);
    assert!(!screen.contains("s3cret") && !screen.contains("pg_"), "{screen}");
}

#[test]
fn the_end_of_the_error_log() {
    seen("node-error-log", &[complete(), typed("L"), answered(Ok(closer()))]);
    let again = played(&[complete(), typed("L"), answered(Ok(closer())), typed("r"), typed("L")]);
    assert_eq!(
        again.asked,
        ["inspect eu-3", "ask eu-3", "ask eu-3", "ask eu-3"],
        "not a second time while it is asked"
    );
    has(&again.screen, &["it was asked already"]);
    let none = CloserLook { log: Err("the error log is not a file: syslog, a pipe, or not there".into()), ..closer() };
    has(&played(&[opened(), inspected(), answered(Ok(none)), typed("L")]).screen, &["is not a file: syslog"]);
}

#[test]
fn sections_and_plugins_fold_and_the_cursor_stays() {
    let folded = played(&[complete(), tabs(5), enter()]).screen;
    has(&folded, &["▸ facts, each with where it comes from  9, 2 to look at"]);
    assert!(!folded.contains("pid 812"), "{folded}");
    has(&played(&[complete(), tabs(5), enter(), enter()]).screen, &["pid 812"]);
    has(&played(&[complete(), tabs(4), typed_times(KeyCode::Down, 8), enter()]).screen, &["kong/plugins/geo-ip/"]);
}

#[test]
fn where_the_settings_come_from_is_unfolded_by_a_key_on_the_node_on_the_fleet_and_in_the_plan() {
    seen("node-origin", &[complete(), typed("o")]);
    let here = play((160, 50), Look::FULL, [complete(), typed("o")].concat()).screen;
    let words = [
        "/etc/kong/kong.conf:1  bundled",
        "a later line sets it again, and the last one counts",
        "ignored: Kong knows plugins in lower case only",
        "/etc/kong/kong.conf:4  bundled, acme-auth",
        "ignored: it stands behind a [section]",
        "= the environment of kong.service  bundled",
        "= /usr/local/kong/.kong_env  bundled,acme-auth",
        "! the next start has other plugins than what runs",
        "! finds /opt/lua/?.lua and not /opt/lua/?/init.lua",
        "write  lua_package_path = /opt/lua/?.lua;/opt/lua/?/init.lua;;  into /etc/kong/kong.conf",
    ];
    has(&here, &words);
    let late =
        play((160, 50), Look::FULL, [say(looked()), typed("jjjo"), inspected(), answered(Ok(closer()))].concat());
    assert_eq!(late.screen, here, "it is gone to when it comes");
    let planned =
        [say(looked()), typed("p"), say(planned()), typed("j"), enter(), typed("j"), enter(), typed("o")].concat();
    let asked = play((80, 24), Look::FULL, planned).asked;
    assert!(asked.iter().any(|asked| asked.starts_with("inspect eu-")), "{asked:?}");
    let nothing = played(&[say(looked()), typed("p"), say(super::fixture::planned()), typed("o")]);
    has(&nothing.screen, &["no node is under the cursor"]);
}

#[test]
fn the_chain_of_a_setting_folds_and_the_command_for_it_is_told() {
    let folded = [complete(), typed("oj"), enter()].concat();
    let screen = played(std::slice::from_ref(&folded)).screen;
    assert!(!screen.contains("Kong's default  bundled"), "{screen}");
    has(&screen, &["the next start has it from the environment of kong.service"]);
    has(&played(&[folded, enter()]).screen, &["Kong's default  bundled"]);
    has(&played(&[complete(), typed("c")]).screen, &["muster explain eu-3 request-tag"]);
    has(&played(&[complete(), tabs(4), typed("jc")]).screen, &["muster explain eu-3 acme-auth"]);
}

#[test]
fn tab_goes_round() {
    let round = played(&[complete(), tabs(8)]).screen;
    assert_eq!(round, played(&[complete()]).screen);
}

#[test]
fn another_look_asks_for_what_is_known_anew() {
    let asked = played(&[complete(), typed("R"), say(looked())]).asked;
    assert_eq!(asked, ["inspect eu-3", "ask eu-3", "look Node(\"eu-3\")", "inspect eu-3", "ask eu-3"]);
}

#[test]
fn a_node_that_a_run_works_on_is_not_asked() {
    let mut run = super::fixture::Recording::begin();
    run.delivered();
    let script =
        [to_run(), run.acts, key(KeyCode::Esc), key(KeyCode::Esc), typed("jjj"), enter(), inspected()].concat();
    let played = played(&[script, typed("L")]);
    assert!(!played.asked.iter().any(|asked| asked.starts_with("ask ")), "{:?}", played.asked);
    has(&played.screen, &["the run is at work on this node"]);
}

#[test]
fn an_answer_for_a_node_that_is_not_open_changes_nothing() {
    let script = [say(looked()), answered(Ok(closer())), inspected()].concat();
    assert_eq!(played(&[script]).screen, played(&[say(looked())]).screen);
}

#[test]
fn a_node_that_was_not_seen_has_no_facts_and_says_so() {
    let gone = Inspection {
        node: node("us-2"),
        facts: Vec::new(),
        settings: Vec::new(),
        planned: Planned::default(),
        receipts: Vec::new(),
        log: None,
        ..inspection()
    };
    let trouble = Message::Answered(node("us-2"), Err(notice()));
    let script = [say(looked()), typed("jjjjjj"), enter(), say(Message::Inspected(Arc::new(gone))), say(trouble)];
    seen("node-unseen", &script);
}

#[test]
fn the_difference_of_a_change_is_beside_itself_where_there_is_room() {
    let script = [say(looked()), typed("p"), say(planned()), typed("jd")].concat();
    let wide = play((160, 50), Look::FULL, script.clone()).screen;
    let row = wide.lines().find(|line| line.contains("2.0.3\"")).unwrap();
    assert!(row.contains("2.1.0\"") && row.contains('│'), "{wide}");
    let narrow = play((80, 24), Look::FULL, script).screen;
    assert!(!narrow.lines().any(|line| line.contains("2.0.3\"") && line.contains("2.1.0\"")), "{narrow}");
}

#[test]
fn every_screen_of_a_node_can_be_read_in_ascii_without_colour() {
    let files = || compared(Some(HANDLER), vec![handler()]);
    for script in
        [complete(), [on_handler(), files()].concat(), [complete(), typed("L"), answered(Ok(closer()))].concat()]
    {
        for size in [(80, 24), (160, 50)] {
            let screen = play(size, Look::PLAIN, script.clone()).screen;
            assert!(screen.is_ascii(), "{screen}");
        }
    }
}

#[test]
fn sizes_from_the_least_to_the_largest_do_not_break_it() {
    let files = || compared(Some(HANDLER), vec![handler()]);
    for size in [(20, 5), (60, 15), (139, 20), (140, 20), (300, 80)] {
        for script in [complete(), [on_handler(), files()].concat(), [complete(), typed("L")].concat()] {
            assert!(!play(size, Look::FULL, script).screen.is_empty());
        }
    }
}
