//! Each way in which the places can disagree, and each bomb, with the words that an operator reads.

use super::*;
use crate::hint::Sealed;
use crate::kong::service::Unit;
use crate::name::{NodePath, Shared};
use crate::survey::{AdminFacts, PluginRow, ServiceFacts, SurveyDecoder, SurveyRequest};
use crate::wire::{Decoder, Item, Limits};

fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap()
}

fn kong() -> KongPaths {
    let text = "version: 1\nowner: e\ndefaults: { kong: { conf: /k.conf, prefix: /p, lua_root: /l, home: /h } }\n\
                clusters:\n  eu: { topology: traditional, nodes: [eu-1], plugins: {} }\n";
    let inventory = crate::inventory::parse("inventory.yaml", text.as_bytes()).unwrap();
    inventory.nodes().next().unwrap().kong.clone()
}

/// What the three places say: kong.conf, `.kong_env`, and the workers' `plugins` and `lua_package_path`.
struct Node {
    facts: NodeFacts,
}

const PATH: &str = "/l/?.lua;/l/?/init.lua;;";

impl Node {
    fn of(conf: &str, env: &str, running: &str) -> Self {
        let (conf, env) = (format!("lua_package_path = {PATH}\n{conf}"), format!("lua_package_path={PATH}\n{env}"));
        Self::raw(&conf, &env, running, PATH)
    }

    fn raw(conf: &str, env: &str, running: &str, search: &str) -> Self {
        let mut decoder = SurveyDecoder::new(SurveyRequest {
            conf: path("/k.conf"),
            prefix: path("/p"),
            lua_root: path("/l"),
            home: path("/h"),
            cli: None,
            roots: BTreeSet::new(),
        });
        let text = format!(
            "muster 1 n\nhost m b 1000 500 root 0 1\ntools flock\nplace conf file 1 1 0 64 5 81a4 0 0 1 /k.conf\n\
             place prefix directory 1 1 0 64 6 41ed 0 0 2 /p\nplace lua-root directory 1 1 0 64 7 41ed 0 0 2 /l\n\
             place home directory 1 1 0 64 8 41ed 0 0 2 /h\nmaster 10 100 0 0 65536 1 /\nworker 11 200 live\nenv 81a0 0 0\n\
             blob env {}\n{env}blob conf {}\n{conf}end n 10\n",
            env.len(),
            conf.len()
        );
        for item in Decoder::new("n", Limits::default()).feed(text.as_bytes()).unwrap() {
            match item {
                Item::Record(record) => decoder.record(&record).unwrap(),
                Item::Blob { name, bytes } => decoder.blob(&name, bytes).unwrap(),
                Item::End(_) => {}
            }
        }
        let mut facts = decoder.finish().unwrap();
        facts.admin = Ok(AdminFacts {
            plugins: Shared::from(running.split(',').map(str::to_owned).collect::<Vec<_>>()),
            lua_package_path: Some(search.to_owned()),
            master: Some(10),
            ..AdminFacts::default()
        });
        Self { facts }
    }

    fn used(mut self, plugin: &str) -> Self {
        let row = PluginRow {
            id: "1".to_owned(),
            enabled: true,
            scope: "global".to_owned(),
            workspace: None,
            tags: Vec::new(),
            updated_at: None,
        };
        if let Ok(admin) = &mut self.facts.admin {
            admin.rows.to_mut().insert(plugin.to_owned(), vec![row]);
        }
        self
    }

    fn unit(mut self, environment: &str) -> Self {
        let shown = format!("Id=kong.service\nLoadState=loaded\nMainPID=10\nDropInPaths=\nEnvironment={environment}\n");
        let unit = Unit::read("kong.service", &shown, "", &std::collections::BTreeMap::new(), true).unwrap();
        self.facts.service = ServiceFacts::Unit(Sealed::new(Shared::from(unit)));
        self
    }

    fn settings(&self, ruled: &[&str]) -> Settings {
        let ruled: Vec<PluginName> = ruled.iter().map(|name| PluginName::parse(name).unwrap()).collect();
        let directives = Directives::of(&kong(), &self.facts);
        Settings::of(&kong(), &self.facts, &directives, &ruled.iter().collect())
    }
}

#[track_caller]
fn assert_says(settings: &Settings, agreement: Agreement, words: &[&str]) {
    let text = [settings.alarms(), settings.words()].concat().join("\n");
    for words in words {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    assert_eq!(settings.disagreements.iter().map(|one| one.agreement).collect::<Vec<_>>(), [agreement], "{text}");
}

#[test]
fn places_that_say_the_same_in_other_words_agree() {
    let node = Node::of("plugins = tagger , bundled\n", "plugins=bundled,tagger\n", "bundled,tagger").used("tagger");
    assert_eq!(node.settings(&[]), Settings::default());
    let nothing = Node::raw("", "", "bundled", "./?.lua;./?/init.lua");
    assert_eq!(nothing.settings(&[]).disagreements, [], "a default that is written out is the default");
}

#[test]
fn a_line_that_kong_conf_lost_while_the_plugin_is_in_use_is_a_time_bomb() {
    let node = Node::of("plugins = bundled\n", "plugins=bundled,tagger\n", "bundled,tagger").used("tagger");
    let found = node.settings(&[]);
    let bomb = "time bomb: tagger is in use, and /k.conf:2 does not list tagger: the next start of Kong fails, unless what starts \
                it sets KONG_PLUGINS";
    let places = "the next start has other plugins than what runs: /k.conf:2 has \"bundled\"; the next reload (.kong_env) and \
                  the workers have \"bundled,tagger\"";
    assert_says(&found, Agreement::StartDiffers, &[bomb, places, "write  plugins = bundled,tagger  into /k.conf"]);
    assert_eq!((found.time_bombs[0].at, found.time_bombs[0].plugins.len()), (Who::Start, 1));
    assert_says(&node.settings(&["tagger"]), Agreement::StartDiffers, &["type: muster --plan"]);
    let unused = Node::of("plugins = bundled\n", "plugins=bundled,tagger\n", "bundled,tagger").settings(&[]);
    assert_eq!(unused.time_bombs, [], "nothing that is in use is lost");
    assert_says(&unused, Agreement::StartDiffers, &["if what runs is right, write  plugins = bundled,tagger"]);
}

#[test]
fn a_bundled_plugin_in_use_is_lost_with_the_word_bundled() {
    let node = Node::of("plugins = tagger\n", "plugins=bundled,tagger\n", "bundled,tagger").used("key-auth");
    assert_says(&node.settings(&[]), Agreement::StartDiffers, &["key-auth is in use, and /k.conf:2 does not list"]);
}

#[test]
fn a_prepared_directive_without_what_is_in_use_goes_off_at_the_next_reload() {
    let node = Node::of("plugins = bundled\n", "plugins=bundled\n", "bundled,tagger").used("tagger");
    let found = node.settings(&[]);
    assert_eq!(found.time_bombs.iter().map(|bomb| bomb.at).collect::<Vec<_>>(), [Who::Reload, Who::Start]);
    let words = [
        "/p/.kong_env does not list tagger: the next reload, by whomever, fails",
        "the workers run \"bundled,tagger\"",
    ];
    assert_says(&found, Agreement::ReloadDiffers, &words);
}

#[test]
fn three_places_with_three_values_are_all_told() {
    let node = Node::of("plugins = bundled,a\n", "plugins=bundled,b\n", "bundled,c");
    let words = "each have other plugins: /k.conf:2 has \"bundled,a\"; the next reload (.kong_env) has \"bundled,b\"; the \
                 workers run \"bundled,c\"";
    assert_says(&node.settings(&[]), Agreement::AllDiffer, &[words]);
}

#[test]
fn a_long_list_is_told_by_what_differs() {
    let all: Vec<String> = (0..40).map(|n| format!("plugin-{n}")).collect();
    let (running, conf) = (all.join(","), all[2..].join(","));
    let node = Node::of(&format!("plugins = {conf},new\n"), &format!("plugins={running}\n"), &running);
    let found = node.settings(&[]);
    assert_says(
        &found,
        Agreement::StartDiffers,
        &["has \"these without plugin-0,plugin-1, with new\"", "\"40 plugins\""],
    );
    assert_eq!(found.disagreements[0].running.as_deref(), Some(running.as_str()), "the whole is in the JSON");
}

#[test]
fn the_environment_of_the_unit_decides_the_next_start_and_is_where_the_line_goes() {
    let env = "plugins=bundled,tagger\n";
    let node =
        Node::of("plugins = bundled,tagger\n", env, "bundled,tagger").used("tagger").unit("KONG_PLUGINS=bundled");
    let found = node.settings(&[]);
    let words = [
        "time bomb: tagger is in use",
        "the next start of Kong fails\nwrite  Environment=\"KONG_PLUGINS=bundled,tagger\"",
        "systemctl reload kong.service",
    ];
    assert_says(&found, Agreement::StartDiffers, &words);
}

#[test]
fn staged_releases_before_the_search_path_are_no_disagreement() {
    let release = format!("/h/releases/tagger/{}", "a".repeat(64));
    let (conf, env) = (format!("lua_package_path = {PATH}\n"), format!("lua_package_path={PATH}\n"));
    let staged = format!("{release}/?.lua;{release}/?/init.lua;{PATH}");
    assert_eq!(Node::raw(&conf, &env, "bundled", &staged).settings(&[]), Settings::default());
}

#[test]
fn a_search_path_that_only_kong_env_has_is_said_and_a_time_bomb() {
    let node = Node::raw("plugins = bundled\n", &format!("lua_package_path={PATH}\n"), "bundled", PATH);
    let words = [
        "time bomb: at the next start lua_package_path does not reach the Lua root /l, and what runs now does",
        "another lua_package_path than what runs: Kong's default (nothing sets lua_package_path) has",
        "write  lua_package_path = /l/?.lua;/l/?/init.lua;;  into /k.conf",
    ];
    assert_says(&node.settings(&[]), Agreement::StartDiffers, &words);
}

#[test]
fn what_starts_a_container_is_not_guessed() {
    let mut node = Node::of("plugins = bundled\n", "plugins=bundled,tagger\n", "bundled,tagger").used("tagger");
    node.facts.master.as_mut().unwrap().process.0 = 1;
    if let Ok(admin) = &mut node.facts.admin {
        admin.master = Some(1);
    }
    assert!(matches!(node.facts.environment(), Environment::Container));
    assert_eq!(node.settings(&[]), Settings::default());
}

#[test]
fn a_stopped_kong_has_one_place_and_cannot_disagree_with_itself() {
    let mut node = Node::of("plugins = bundled\n", "plugins=bundled,tagger\n", "bundled,tagger");
    let code = crate::survey::Trouble::NOT_RUNNING.to_owned();
    node.facts.admin = Err(crate::survey::Trouble { code, text: String::new(), hints: vec![] });
    node.facts.master = None;
    node.facts.orphans.clear();
    assert_eq!(node.settings(&[]), Settings::default());
}

#[test]
fn what_cannot_be_read_of_the_workers_is_said_as_unknown() {
    let mut node = Node::of("plugins = bundled\n", "plugins=bundled,tagger\n", "bundled,tagger").used("tagger");
    node.facts.admin =
        Err(crate::survey::Trouble { code: "x".to_owned(), text: "no answer".to_owned(), hints: vec![] });
    let found = node.settings(&[]);
    assert_says(&found, Agreement::Unknown, &["the workers run ?"]);
    assert_eq!(found.time_bombs, [], "what is in use is not known");
}
