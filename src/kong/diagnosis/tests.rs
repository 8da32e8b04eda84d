use super::*;

fn only(log: &str) -> Diagnosis {
    let mut found = diagnose(log.as_bytes());
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

const HEAD: &str = "2026/11/20 07:02:03 [notice] 10487#10487: signal 1 (SIGHUP) received from 11953, reconfiguring\n\
    2026/11/20 07:02:03 [notice] 10487#10487: reconfiguring\n";
const INIT: &str = "2026/11/20 07:02:03 [error] 10487#10487: init_by_lua error: /lab/kong/init.lua:708: ";
const MODULE: &str = "2026/11/20 07:02:18 [error] 10487#10487: init_by_lua error: ...ab/kong/tools/module.lua:29: ";
const TRACE: &str = "\nstack traceback:\n\t[C]: in function 'assert'\n\t/lab/kong/init.lua:708: in function 'init'\n\
    \tinit_by_lua(nginx-kong.conf:44):3: in main chunk\n\
    2026/11/20 07:02:04 [notice] 10487#10487: signal 17 (SIGCHLD) received from 11994\n";

/// What a real Kong 3.9.1 wrote for each case (transcript 03; measured.md 3).
#[test]
fn failures_of_one_plugin_are_recognised() {
    for (text, cause, plugin) in [
        ("on plugin 'a': a plugin is enabled but not installed;\nno plugin found", Cause::NotInstalled, "a"),
        ("on plugin 'b': no configuration schema found for plugin: b", Cause::NoSchema, "b"),
        ("on plugin 'c': [off] schema violation (fields.3: {\n  fields = {\n    }\n})", Cause::SchemaViolation, "c"),
        (
            "on plugin 'd': Plugin \"d\" cannot be loaded because its VERSION field does not follow the \"x.y.z\" format, got: \"nil\".",
            Cause::BadVersion,
            "d",
        ),
        (
            "on plugin 'e': Plugin \"e\" cannot be loaded because its PRIORITY field is not a valid integer number, got: \"nil\".",
            Cause::BadPriority,
            "e",
        ),
        (
            "on plugin 'f': Plugin \"f\" can't be loaded because it implements both `response` and `header_filter` or `body_filter` methods.\n",
            Cause::ConflictingPhases,
            "f",
        ),
    ] {
        let found = only(&format!("{HEAD}{INIT}error loading plugin schemas: {text}{TRACE}"));
        assert_eq!((found.cause, found.plugin.as_ref().map(PluginName::as_str)), (cause, Some(plugin)), "{text}");
        assert!(!found.words.is_empty() && found.raw.starts_with("2026/11/20"), "{found:?}");
    }
}

#[test]
fn several_plugins_in_one_entry_are_several_reasons() {
    let text = "error loading plugin schemas: on plugin 'a': a plugin is enabled but not installed;\nno plugin found; \
        on plugin 'b': no configuration schema found for plugin: b";
    let found = diagnose(format!("{HEAD}{INIT}{text}{TRACE}").as_bytes());
    let causes: Vec<_> = found.iter().map(|one| (one.cause, one.plugin.as_ref().unwrap().as_str())).collect();
    assert_eq!(causes, [(Cause::NotInstalled, "a"), (Cause::NoSchema, "b")]);
}

#[test]
fn a_syntax_error_has_file_line_and_luas_words() {
    let found = only(&format!(
        "{HEAD}{MODULE}error loading module 'kong.plugins.hsyntax.handler':\n\
         error loading module 'kong.plugins.hsyntax.handler' from file '/lab/nodes/e/plugins/kong/plugins/hsyntax/handler.lua':\n\
         \t...konglab/nodes/e/plugins/kong/plugins/hsyntax/handler.lua:7: '<eof>' expected near 'function'{TRACE}"
    ));
    assert_eq!(found.cause, Cause::SyntaxError);
    assert_eq!(found.plugin.as_ref().unwrap().as_str(), "hsyntax");
    assert_eq!(found.file.as_deref(), Some("/lab/nodes/e/plugins/kong/plugins/hsyntax/handler.lua"));
    assert_eq!(found.line, Some(7));
    assert_eq!(found.words, "'<eof>' expected near 'function'");
    assert_eq!(
        found.to_string(),
        "plugin hsyntax: /lab/nodes/e/plugins/kong/plugins/hsyntax/handler.lua:7: '<eof>' expected near 'function'"
    );
}

#[test]
fn a_syntax_error_in_a_module_of_the_plugin_names_that_module() {
    let found = only(&format!(
        "{HEAD}{MODULE}error loading module 'kong.plugins.acme-auth.handler':\n\
         error loading module 'kong.plugins.acme-auth.lib.token' from file '/x/kong/plugins/acme-auth/lib/token.lua':\n\
         \t/x/kong/plugins/acme-auth/lib/token.lua:12: unexpected symbol near '&'{TRACE}"
    ));
    assert_eq!(found.cause, Cause::SyntaxError);
    assert_eq!(found.module.as_deref(), Some("kong.plugins.acme-auth.lib.token"));
    assert_eq!((found.plugin.unwrap().as_str(), found.line), ("acme-auth", Some(12)));
}

#[test]
fn a_missing_module_is_named_with_the_line_that_requires_it() {
    let found = only(&format!(
        "{HEAD}{MODULE}error loading module 'kong.plugins.dep.handler':\n\
         /lab/nodes/e/plugins/kong/plugins/dep/handler.lua:1: module 'resty.not.there' not found:\n\
         \tno field package.preload['resty.not.there']\n\tno file '/lab/nodes/e/plugins/resty/not/there.lua'{TRACE}"
    ));
    assert_eq!(found.cause, Cause::MissingModule);
    assert_eq!(found.module.as_deref(), Some("resty.not.there"));
    assert_eq!(found.plugin.as_ref().unwrap().as_str(), "dep");
    assert_eq!(found.file.as_deref(), Some("/lab/nodes/e/plugins/kong/plugins/dep/handler.lua"));
    assert_eq!(found.line, Some(1));
    assert_eq!(found.words, "module 'resty.not.there' not found:");
}

#[test]
fn an_error_that_the_code_raised_is_named_with_its_line() {
    let found = only(&format!(
        "{HEAD}{MODULE}error loading module 'kong.plugins.boom.handler':\n\
         /lab/nodes/e/plugins/kong/plugins/boom/handler.lua:1: boom at load\nstack traceback:\n\t[C]: in function 'error'{TRACE}"
    ));
    assert_eq!((found.cause, found.line), (Cause::ErrorAtLoad, Some(1)));
    assert_eq!(found.words, "boom at load");
    assert_eq!(found.plugin.as_ref().unwrap().as_str(), "boom");
}

#[test]
fn failures_without_a_plugin_in_the_list_are_recognised() {
    let broken = "2026/11/20 07:11:48 [crit] 9175#9175: *3893 [lua] init.lua:925: init_worker(): worker initialization error: failed to \
        initialize declarative config: error building initial plugins iterator: hello plugin is in use but not enabled; \
        this node must be restarted, context: init_worker_by_lua*";
    let migrations = "2026/11/20 07:14:47 [error] 1#1: init_by_lua error: ...kong/cmd/utils/migrations.lua:20: New migrations available; \
        run 'kong migrations up' to proceed";
    let stderr = "Error: ...kong/cmd/start.lua:99: nginx: [error] init_by_lua error: /lab/kong/init.lua:708: error loading plugin \
        schemas: on plugin 'nofiles': nofiles plugin is enabled but not installed;\nno plugin found";
    for (log, cause, plugin, words) in [
        (
            format!("{INIT}error building initial plugins: hello plugin is in use but not enabled"),
            Cause::InUseNotEnabled,
            Some("hello"),
            "error building initial plugins: hello plugin is in use but not enabled",
        ),
        (broken.to_owned(), Cause::WorkersBroken, Some("hello"), ""),
        (
            format!("{INIT}error parsing declarative config file /x.yml:\nin 'plugins':\n  - in entry 1 of 'plugins':\n    \
                     in 'name': plugin 'hello' not enabled; add it to the 'plugins' configuration property"),
            Cause::ConfiguredNotEnabled,
            Some("hello"),
            "in 'name': plugin 'hello' not enabled; add it to the 'plugins' configuration property",
        ),
        (migrations.to_owned(), Cause::MigrationsPending, None, ""),
        (
            "2026/11/20 07:03:13 [error] 1#1: init_by_lua error: ...kong/db/dao/plugins.lua:288: attempt to index local 'handler' (a boolean value)"
                .to_owned(),
            Cause::ReturnsNothing,
            None,
            "",
        ),
        (
            "2026/11/20 07:34:04 [error] 18532#18532: init_by_lua error: /lab/kong/init.lua:642: could not load config file: \
             /lab/nodes/u/prefix/.kong_env: Permission denied"
                .to_owned(),
            Cause::EnvUnreadable,
            None,
            "",
        ),
        (
            "nginx: [emerg] unknown directive \"bogus_directive\" in /lab/prefix/nginx-kong.conf:30".to_owned(),
            Cause::NginxRefused,
            None,
            "",
        ),
        (stderr.to_owned(), Cause::NotInstalled, Some("nofiles"), ""),
        (format!("{INIT}something nobody has seen"), Cause::Other, None, ""),
    ] {
        let found = only(&log);
        assert_eq!((found.cause, found.plugin.as_ref().map(PluginName::as_str)), (cause, plugin), "{log}");
        assert!(words.is_empty() || found.words == words, "{:?}", found.words);
    }
}

#[test]
fn messages_of_several_lines_are_read_to_their_end() {
    let schema = format!(
        "{INIT}error loading plugin schemas: on plugin 'c': [off] schema violation (fields.3: {{\n  fields = {{\n    }}\n}}){TRACE}"
    );
    assert_eq!(only(&schema).words, "[off] schema violation (fields.3: { fields = { } })");
    let declarative = format!(
        "{INIT}error parsing declarative config file /x/kong.yml:\nin 'services':\n  - in entry 1 of 'services':\n    in 'url': invalid path{TRACE}"
    );
    let found = only(&declarative);
    assert_eq!(found.cause, Cause::DeclarativeInvalid);
    assert_eq!(
        found.words,
        "error parsing declarative config file /x/kong.yml: in 'services': - in entry 1 of 'services': in 'url': invalid path"
    );
}

#[test]
fn a_module_that_a_worker_missed_later_is_recognised() {
    let found = only(
        "2026/11/20 07:36:54 [warn] 7211#7211: *1289 [kong] handler.lua:4 [lazy] module 'kong.plugins.lazy.util' not found:\n\tno field package.preload",
    );
    assert_eq!((found.cause, found.module.as_deref()), (Cause::MissingModule, Some("kong.plugins.lazy.util")));
    assert_eq!(found.plugin.unwrap().as_str(), "lazy");
}

#[test]
fn what_a_good_reload_writes_is_no_failure() {
    let log = format!(
        "{HEAD}2026/11/20 07:02:38 [error] 20937#20937: *7786 [lua] worker.lua:325: communicate(): event worker failed to communicate \
         with broker (failed to receive the header bytes: closed), context: ngx.timer\n\
         2026/11/20 07:02:38 [alert] 1#1: open socket #12 left in connection 5\n\
         2026/11/20 07:02:38 [notice] 1#1: start worker processes\n"
    );
    assert_eq!(diagnose(log.as_bytes()), []);
}

#[test]
fn the_same_reason_twice_is_one() {
    let one = format!(
        "{INIT}error loading plugin schemas: on plugin 'a': no configuration schema found for plugin: a{TRACE}"
    );
    assert_eq!(diagnose(format!("{one}{one}").as_bytes()).len(), 1);
}

#[test]
fn a_log_can_neither_reach_the_terminal_nor_grow_without_end() {
    let log = format!(
        "{INIT}error loading plugin schemas: on plugin 'a': \u{1b}[2J schema violation\u{202e}{}",
        "x".repeat(3_000_000)
    );
    for found in diagnose(log.as_bytes()) {
        assert!(!format!("{found}{}", found.raw).contains(['\u{1b}', '\u{202e}']));
        assert!(found.words.chars().count() <= 301);
    }
    let mut noise = vec![0xff; 4096];
    noise.extend(b"\n:1: \n error loading module '\n from file '\n:::::");
    diagnose(&noise);
}
