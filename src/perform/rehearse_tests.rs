use super::*;
use crate::name::{BundleName, Digest};
use crate::perform::scripted::{self, Scripted, record};
use crate::remote::{Connect as _, Reply};

fn plugin(name: &str) -> PluginName {
    PluginName::parse(name).unwrap()
}

/// acme-auth 2.0.0 of `plugins/acme-auth`, beside what the node lists already.
fn action() -> Rehearse {
    let candidate = Candidate {
        bundle: BundleName::parse("acme-auth").unwrap(),
        version: Some("2.0.0".to_owned()),
        digest: Digest::of(b"2.0.0"),
        plugins: [plugin("acme-auth")].into(),
        source: Some(("kong/plugins/acme-auth/".to_owned(), "plugins/acme-auth/".to_owned())),
    };
    Rehearse {
        plugins: "bundled,geo-ip,acme-auth".to_owned(),
        added: [plugin("acme-auth")].into(),
        staged: vec![candidate].into(),
        search_path: Some("./?.lua;;".to_owned()),
        runs: true,
    }
}

/// A path in the release.
fn released(rest: &str) -> String {
    format!("{}/releases/acme-auth/{}/{rest}", scripted::site("eu-p3").home, Digest::of(b"2.0.0"))
}

fn judged(lines: &str, said: &str, status: Status) -> Trial {
    let records = lines.lines().map(|line| match record(line) {
        Reply::Record(record) => record,
        Reply::Blob { .. } => panic!("{line}"),
    });
    let told = Told { records: records.collect(), said: said.as_bytes().to_vec() };
    judge(&scripted::site("eu-p3"), &action(), &told, status)
}

#[track_caller]
fn failed(lines: &str, said: &str) -> Cause {
    match judged(lines, said, Status::Failed) {
        Trial::Fails { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_module_that_is_missing_is_told_with_the_line_in_the_repository_and_is_the_nodes() {
    let handler = released("kong/plugins/acme-auth/handler.lua");
    let said = format!(
        "Error: error loading module 'kong.plugins.acme-auth.handler':\n{handler}:12: module 'resty.jwt' not found:\n\
         \tno field package.preload['resty.jwt']\n\tno file './resty/jwt.lua'\nstack traceback:\n"
    );
    let cause = failed("trial 1", &said);
    assert_eq!(
        cause.text,
        "acme-auth 2.0.0 does not load on eu-p3: plugins/acme-auth/handler.lua:12: module 'resty.jwt' not found"
    );
    assert_eq!(cause.code, Cause::DOES_NOT_LOAD_HERE);
    assert!(cause.hints.contains(&Hint::look("docs/errors/missing-module.md")), "{cause:?}");
    let raw = "Kong's own words: Error: error loading module 'kong.plugins.acme-auth.handler':";
    assert!(cause.details.iter().any(|line| line == raw), "{cause:?}");
    // One of its own modules would be missing everywhere.
    let own = said.replace("resty.jwt", "kong.plugins.acme-auth.claims");
    assert_eq!(failed("trial 1", &own).code, Cause::DOES_NOT_LOAD);
}

#[test]
fn a_path_that_luajit_cut_is_told_whole() {
    let said = "Error: error loading module 'kong.plugins.acme-auth.schema':\n\
        ...ns/kong/plugins/acme-auth/schema.lua:4: /etc/kong/secret.txt: No such file or directory\nstack traceback:\n";
    let cause = failed("trial 1", said);
    assert!(cause.text.contains(": plugins/acme-auth/schema.lua:4: /etc/kong/secret.txt"), "{}", cause.text);
    assert_eq!(cause.code, Cause::DOES_NOT_LOAD);
    let said = said.replace("...ns/kong/", "...ng/");
    assert!(failed("trial 1", &said).text.contains(": plugins/acme-auth/schema.lua:4: "));
}

#[test]
fn what_the_command_says_without_a_name_is_of_the_plugin_that_is_new() {
    let said = "Error: [declarative] 3 schema violations (fields: expected an array; name: field required for entity \
        check; no_consumer: unknown field)\n\n  Run with --v (verbose) or --vv (debug) for more details\n";
    let cause = failed("trial 1", said);
    assert!(cause.text.starts_with("acme-auth 2.0.0 does not load on eu-p3: "), "{}", cause.text);
    assert_eq!(cause.code, Cause::DOES_NOT_LOAD);
}

#[test]
fn a_plugin_without_files_is_named_although_the_command_speaks_of_something_else() {
    let said = "Error: attempt to index upvalue 'kong' (a nil value)\n\n  Run with --v (verbose)\n";
    let cause = failed("trial 1\nlacks rate-limiting\nlacks geo-ip", said);
    let head = "geo-ip, which the node lists and this does not change, does not load on eu-p3: it is listed";
    assert!(cause.text.starts_with(head), "{}", cause.text);
    assert_eq!(cause.code, Cause::DOES_NOT_LOAD_HERE);
    assert!(cause.details.iter().any(|line| line.contains("attempt to index upvalue 'kong'")), "{cause:?}");
    let cause = failed("trial 1\nunreadable 1000 /lua/kong/plugins/geo-ip/handler.lua", said);
    let line = "uid 1000 may not read /lua/kong/plugins/geo-ip/handler.lua";
    assert!(cause.details.iter().any(|detail| detail == line), "{cause:?}");
}

#[test]
fn what_the_workers_may_not_read_and_what_never_ends_is_the_nodes() {
    let cause = failed("trial 0\nunreadable 65534 /lua/kong/plugins/acme-auth/lib.lua", "parse successful\n");
    assert!(cause.text.contains("its workers (uid 65534) may not read /lua/kong"), "{}", cause.text);
    assert_eq!(cause.code, Cause::DOES_NOT_LOAD_HERE);
    let cause = failed("trial 124", "");
    assert!(cause.text.contains("did not end within 60 s"), "{}", cause.text);
}

#[test]
fn where_none_can_be_made_the_reason_is_told_and_nothing_is_held_against_the_content() {
    for (lines, said, status, why) in [
        ("problem no-perl", "", Status::Refused, "it has no perl"),
        ("problem no-cli /usr/local/bin/kong", "", Status::Refused, "/usr/local/bin/kong is not there"),
        ("problem no-scratch /var/lib/muster", "", Status::Refused, "neither /var/lib/muster nor"),
        ("problem not-the-owner 1000", "", Status::Refused, "uid 1000"),
        (
            "trial 1",
            "Error: could not find OpenResty 'nginx' executable\n",
            Status::Failed,
            "ended with 1: Error: could",
        ),
        ("trial 1", "", Status::Failed, "said nothing"),
        ("trial 1", "Error: [PostgreSQL error] failed to retrieve\n", Status::Failed, "PostgreSQL"),
        ("problem write /x", "", Status::Failed, "/x cannot be written"),
    ] {
        match judged(lines, said, status) {
            Trial::NotMade(found) => assert!(found.contains(why), "{found}"),
            other => panic!("{lines} {said}: {other:?}"),
        }
    }
    // What speaks of a plugin is one's own trouble, even where nobody knows the words.
    let cause = failed("trial 1", "Error: /lua/kong/plugins/acme-auth/handler.lua:3: something brand-new\n");
    assert!(cause.text.contains("something brand-new"), "{}", cause.text);
}

#[tokio::test]
async fn the_script_gets_the_releases_before_everything_and_what_it_says_is_a_fact() {
    #[derive(Default)]
    struct Facts(std::sync::Mutex<Vec<String>>);
    impl Watch for Facts {
        fn phase(&self, _: StepPhase, _: String) {}
        fn printed(&self, _: String) {}
        fn proven(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }
        fn cancelled(&self) -> Option<crate::run::CancelLevel> {
            None
        }
    }
    let (scripted, site, facts) = (Scripted::default(), scripted::site("eu-p3"), Facts::default());
    let remote = scripted.connect(&site.address).await.unwrap();
    scripted.plays(Script::Rehearse, "trial 0", Status::Unchanged);
    let end = perform(&*remote, &site, &action(), &facts).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Unchanged });
    scripted.plays(Script::Rehearse, "problem no-perl", Status::Refused);
    assert_eq!(perform(&*remote, &site, &action(), &facts).await, end);
    scripted.loses(Script::Rehearse, "trial 0");
    assert!(matches!(perform(&*remote, &site, &action(), &facts).await, StepEnd::Unknown { .. }));
    let told = facts.0.into_inner().unwrap();
    assert_eq!(
        told,
        ["loads on trial: acme-auth 2.0.0", "no trial load here: it has no perl, which Kong's command needs"]
    );
    let args = scripted.calls().remove(0).args;
    let value = |key: &str| args.iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned());
    let release = released("");
    assert_eq!(value("stage"), Some(format!("{release}?.lua;{release}?/init.lua;")));
    assert_eq!(value("path").as_deref(), Some("./?.lua;;"));
    assert_eq!(value("plugins").as_deref(), Some("bundled,geo-ip,acme-auth"));
    assert_eq!(value("base").as_deref(), Some("env"));
}

#[tokio::test]
async fn for_a_plan_the_content_goes_along_and_its_place_is_told_as_in_the_repository_without_secrets() {
    let (scripted, site) = (Scripted::default(), scripted::site("eu-p3"));
    let remote = scripted.connect(&site.address).await.unwrap();
    scripted.stages(Script::Rehearse, |_| {
        let said = "Error: error loading module 'kong.plugins.acme-auth.handler':\n\
            /tmp/.trial-1-2/content/acme-auth/kong/plugins/acme-auth/handler.lua:3: the password is s3cret\n"
            .as_bytes()
            .to_vec();
        let mut replies = vec![record("content /tmp/.trial-1-2/content"), record("alive"), record("trial 1")];
        replies.push(Reply::Blob { name: "said".to_owned(), bytes: said });
        Ok(Box::new(move |_| (replies.clone(), Some(Ended::Done(Status::Failed)))))
    });
    let path = crate::name::BundlePath::parse("acme-auth/kong/plugins/acme-auth/handler.lua").unwrap();
    let parcel = Parcel { bytes: b"packed".to_vec(), files: [(path, Digest::of(b"x"))].into() };
    let found = on_trial(&*remote, &site, &action(), &parcel, &["s3cret".to_owned(), String::new()]).await.unwrap();
    let Trial::Fails { cause, of } = found else { panic!("{found:?}") };
    assert_eq!(
        cause.text,
        "acme-auth 2.0.0 does not load on eu-p3: plugins/acme-auth/handler.lua:3: the password is (not shown)"
    );
    assert!(!format!("{cause:?}").contains("s3cret"), "{cause:?}");
    assert_eq!(of.iter().map(BundleName::as_str).collect::<Vec<_>>(), ["acme-auth"]);
    let made = scripted.calls().remove(0);
    assert_eq!(made.payload.as_deref(), Some(&b"packed"[..]));
    let value = |key: &str| made.args.iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned());
    assert_eq!((value("content_1").as_deref(), value("stage")), (Some("acme-auth"), None));
    let file = format!("{} acme-auth/kong/plugins/acme-auth/handler.lua", Digest::of(b"x"));
    assert_eq!(value("file_1"), Some(file));
    // Names alone bring nothing along.
    let names = Rehearse { staged: Vec::new().into(), ..action() };
    let nothing = Parcel { bytes: b"an empty archive".to_vec(), files: std::collections::BTreeMap::new() };
    on_trial(&*remote, &site, &names, &nothing, &[]).await.unwrap();
    assert_eq!(scripted.calls().pop().unwrap().payload, None);
}
