use std::io::Write as _;

use super::*;

pub(super) const HANDLER: &str =
    "local H = { VERSION = \"1.4.2\", PRIORITY = 1000 }\nfunction H:access() end\nreturn H\n";
pub(super) const SCHEMA: &str = "return { name = \"acme-auth\", fields = {} }\n";

fn name(text: &str) -> BundleName {
    BundleName::parse(text).unwrap()
}

fn path(text: &str) -> BundlePath {
    BundlePath::parse(text).unwrap()
}

fn plugin(text: &str) -> PluginName {
    PluginName::parse(text).unwrap()
}

fn entries(files: &[(&str, &str)]) -> Vec<SourceEntry> {
    files.iter().map(|(path, text)| SourceEntry::file(*path, *text)).collect()
}

fn bundle(files: &[(&str, &str)]) -> Result<Bundle, BundleError> {
    Bundle::from_files(name("acme-auth"), entries(files))
}

/// A plugin at its place, with more beside it.
fn rooted(more: &[(&str, &str)]) -> Result<Bundle, BundleError> {
    let own = [("kong/plugins/acme-auth/handler.lua", HANDLER), ("kong/plugins/acme-auth/schema.lua", SCHEMA)];
    bundle(&[&own, more].concat())
}

fn paths(bundle: &Bundle) -> Vec<&str> {
    bundle.files.keys().map(BundlePath::as_str).collect()
}

fn roots(bundle: &Bundle) -> Vec<&str> {
    bundle.roots.iter().map(BundlePath::as_str).collect()
}

fn faults(result: Result<Bundle, BundleError>) -> Vec<String> {
    match result {
        Err(BundleError::Faulty { faults, .. }) => faults.iter().map(Fault::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

const PLUGIN: [&str; 2] = ["kong/plugins/acme-auth/handler.lua", "kong/plugins/acme-auth/schema.lua"];

#[test]
fn three_layouts_lead_to_the_same_content() {
    let rooted = rooted(&[]).unwrap();
    let bare = bundle(&[("handler.lua", HANDLER), ("schema.lua", SCHEMA)]).unwrap();
    let package = bundle(&[
        ("acme-auth-1.4.2/kong/plugins/acme-auth/handler.lua", HANDLER),
        ("acme-auth-1.4.2/kong/plugins/acme-auth/schema.lua", SCHEMA),
        ("acme-auth-1.4.2/README.md", "x"),
        ("acme-auth-1.4.2/INSTALL.txt", "x"),
        ("acme-auth-1.4.2/acme-auth-1.4.2-1.rockspec", "x"),
        ("acme-auth-1.4.2/spec/handler_spec.lua", "x"),
    ])
    .unwrap();
    for bundle in [&rooted, &bare, &package] {
        assert_eq!(paths(bundle), PLUGIN);
        assert_eq!(roots(bundle), ["kong/plugins/acme-auth"]);
        assert_eq!(bundle.digest, rooted.digest);
    }
    let info = &rooted.plugins[&plugin("acme-auth")];
    assert_eq!((info.version.as_deref(), info.priority), (Some("1.4.2"), Some(1000)));
    assert!(!info.has_migrations && !info.has_api && !info.has_daos);
}

#[test]
fn a_package_may_hold_a_bare_plugin() {
    let bundle =
        bundle(&[("x-main/handler.lua", HANDLER), ("x-main/schema.lua", SCHEMA), ("x-main/lib/a.lua", "")]).unwrap();
    assert_eq!(paths(&bundle), [PLUGIN[0], "kong/plugins/acme-auth/lib/a.lua", PLUGIN[1]]);
}

#[test]
fn several_plugins_libraries_and_other_modules_ship_together() {
    let bundle = rooted(&[
        ("kong/plugins/second/handler/init.lua", HANDLER),
        ("kong/plugins/second/schema.lua", "return {}"),
        ("kong/plugins/second/migrations/init.lua", "return {}"),
        ("kong/plugins/second/api.lua", "return {}"),
        ("kong/plugins/second/daos.lua", "return {}"),
        ("kong/plugins/acme-lib/tools.lua", "return {}"),
        ("kong/tools/acme.lua", "return {}"),
        ("resty/acme.lua", "return {}"),
        ("px/core/init.lua", "return {}"),
        ("px/data.json", "{}"),
        ("logger.lua", "return {}"),
        ("config.ld", "x"),
        ("images/logo.png", "x"),
    ])
    .unwrap();
    assert_eq!(bundle.plugins.keys().map(PluginName::as_str).collect::<Vec<_>>(), ["acme-auth", "second"]);
    let second = &bundle.plugins[&plugin("second")];
    assert!(second.has_migrations && second.has_api && second.has_daos);
    assert_eq!(
        roots(&bundle),
        [
            "kong/plugins/acme-auth",
            "kong/plugins/acme-lib",
            "kong/plugins/second",
            "kong/tools/acme.lua",
            "logger.lua",
            "px/core/init.lua",
            "px/data.json",
            "resty/acme.lua"
        ]
    );
    assert_eq!(bundle.notes, [Note::NotShipped { paths: vec!["config.ld".into(), "images/".into()], total: 2 }]);
}

#[test]
fn assets_ship_and_litter_does_not() {
    let bundle = rooted(&[
        ("kong/plugins/acme-auth/templates/page.html", "<html>"),
        ("kong/plugins/acme-auth/spec/fixture.json", "{}"),
        ("kong/plugins/acme-auth/.DS_Store", "x"),
        ("kong/plugins/acme-auth/handler.lua~", "x"),
        ("kong/plugins/acme-auth/.handler.lua.swp", "x"),
        ("kong/plugins/acme-auth/x_spec.lua", "not lua"),
        ("kong/plugins/acme-auth/luacov.stats.out", "x"),
        (".git/config", "x"),
        (".pongo/pongorc", "x"),
        (".luacheckrc", "x"),
        ("spec/a.lua", "not lua"),
        ("README.md", "x"),
        ("LICENSE", "x"),
        ("Makefile", "x"),
        ("acme-auth-1-1.rockspec", "x"),
    ])
    .unwrap();
    let expected = [
        PLUGIN[0],
        PLUGIN[1],
        "kong/plugins/acme-auth/spec/fixture.json",
        "kong/plugins/acme-auth/templates/page.html",
    ];
    assert_eq!(paths(&bundle), expected);
    let Note::NotShipped { total, .. } = &bundle.notes[0] else { panic!("{:?}", bundle.notes) };
    assert_eq!(*total, 13);
}

#[test]
fn a_layout_that_does_not_say_where_files_go_is_refused_with_what_to_do() {
    for (files, why) in [
        (&[("README.md", "x")][..], "no plugin found"),
        (&[("src/handler.lua", HANDLER), ("src/schema.lua", SCHEMA), ("x-1-1.rockspec", "")], "src/"),
        (
            &[("a-1/kong/plugins/a/handler.lua", HANDLER), ("b-1/kong/plugins/b/handler.lua", HANDLER)],
            "several directories",
        ),
        (&[("handler.lua", HANDLER), ("kong/plugins/x/handler.lua", HANDLER)], "both kong/ and"),
        (&[("kong/plugins/lib/tools.lua", "")], "no plugin found"),
        (&[("inner.tar.gz", "x")], "another archive"),
        (
            &[("kong/plugins/a.b/handler.lua", HANDLER), ("kong/plugins/a.b/schema.lua", SCHEMA)],
            "not a valid plugin name",
        ),
    ] {
        let error = bundle(files).unwrap_err();
        assert!(matches!(error, BundleError::Layout { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.hints().is_empty());
    }
    let dotted = Bundle::from_files(name("acme.auth"), entries(&[("handler.lua", HANDLER), ("schema.lua", SCHEMA)]));
    assert!(dotted.unwrap_err().to_string().contains("named like its bundle"));
}

#[test]
fn links_submodules_and_lfs_pointers_are_refused_where_they_would_ship() {
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n";
    assert!(rooted(&[("kong/plugins/acme-auth/geo.mmdb", lfs)]).unwrap_err().to_string().contains("Git LFS"));
    for (kind, why) in [(SourceKind::Symlink, "symbolic link"), (SourceKind::Submodule, "submodule")] {
        for (place, refused) in [("kong/plugins/acme-auth/x", true), ("spec/x", false)] {
            let mut all = entries(&[(PLUGIN[0], HANDLER), (PLUGIN[1], SCHEMA)]);
            all.push(SourceEntry { path: place.into(), kind, bytes: Vec::new() });
            let result = Bundle::from_files(name("acme-auth"), all);
            assert_eq!(result.is_err(), refused, "{place}");
            assert!(!refused || result.unwrap_err().to_string().contains(why));
        }
    }
}

#[test]
fn half_a_plugin_is_refused_and_says_which_half() {
    let lone = |file: &str, text| bundle(&[(&format!("kong/plugins/x/{file}"), text)]);
    assert_eq!(faults(lone("handler.lua", HANDLER)), ["kong/plugins/x/handler.lua: plugin x has no schema.lua"]);
    assert_eq!(faults(lone("schema.lua", SCHEMA)), ["kong/plugins/x/schema.lua: plugin x has no handler.lua"]);
}

#[test]
fn a_field_that_is_certainly_missing_or_wrong_is_refused_and_a_computed_one_is_noted() {
    let with = |handler: &str| bundle(&[("handler.lua", handler), ("schema.lua", SCHEMA)]);
    for (handler, expected) in [
        ("return { PRIORITY = 1 }", "handler.lua: the handler of plugin acme-auth has no VERSION"),
        ("return { VERSION = \"1.0\" }", "handler.lua: the handler of plugin acme-auth has no PRIORITY"),
        (
            "return { PRIORITY = 1,\n VERSION = \"1.2.3.4\" }",
            "handler.lua:2: VERSION of plugin acme-auth is \"1.2.3.4\", which Kong refuses",
        ),
        (
            "return { PRIORITY = 1, VERSION = 1.0 }",
            "handler.lua:1: VERSION of plugin acme-auth is \"1.0\", which Kong refuses",
        ),
        (
            "return { PRIORITY = 10.5, VERSION = \"1\" }",
            "handler.lua:1: PRIORITY of plugin acme-auth is \"10.5\", which Kong refuses",
        ),
    ] {
        assert_eq!(faults(with(handler)), [expected], "{handler}");
    }
    for unsure in [
        "return require(\"px.kong\")",
        "local H = Base:extend()\nreturn H",
        "return { VERSION = meta.v, PRIORITY = p }",
    ] {
        let info = with(unsure).unwrap();
        assert_eq!(info.plugins[&plugin("acme-auth")].version, None, "{unsure}");
        let noted = |field: &str| Note::Computed { plugin: plugin("acme-auth"), field: field.to_owned() };
        assert_eq!(info.notes, [noted("VERSION"), noted("PRIORITY")]);
    }
}

#[test]
fn a_module_of_the_bundle_that_is_not_in_it_is_refused_with_its_line() {
    let handler = "local a = require \"kong.plugins.acme-auth.there\"\nlocal b = require(\"kong.plugins.acme-auth.gone\")\n\
        local c = require \"kong.plugins.jwt.jwt_parser\"\nlocal d = require \"resty.http\"\n\
        local ok = pcall(require, \"kong.plugins.acme-auth.maybe\")\n\
        local ok = pcall(function() return require \"kong.plugins.acme-auth.perhaps\" end)\nreturn { VERSION = \"1\", PRIORITY = 1 }";
    let files = [("handler.lua", handler), ("schema.lua", SCHEMA), ("there/init.lua", "return {}")];
    let found = faults(bundle(&files));
    let expected = "handler.lua:2: module 'kong.plugins.acme-auth.gone' is required and not in the bundle";
    assert_eq!(found, [expected]);
}

#[cfg(feature = "lua")]
#[test]
fn every_lua_file_is_compiled_and_all_mistakes_come_at_once() {
    let found = faults(rooted(&[
        ("kong/plugins/acme-auth/a.lua", "local x = \n"),
        ("kong/plugins/acme-auth/b.lua", "return 1 & 2"),
        ("resty/c.lua", "\u{1b}LJ"),
        ("kong/plugins/acme-auth/d.txt", "not lua at all ("),
    ]));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("kong/plugins/acme-auth/a.lua:2: ")
            || found[0].starts_with("kong/plugins/acme-auth/a.lua:1: "),
        "{found:?}"
    );
    assert!(found[1].starts_with("kong/plugins/acme-auth/b.lua:1: "), "{found:?}");
    assert_eq!(found[2], "resty/c.lua: compiled Lua, not source");
}

/// Code at the top of a file must not run on the operator's machine: `--plan` is run on strangers' branches.
#[cfg(feature = "lua")]
#[test]
fn nothing_is_run() {
    let endless = "while true do end return { VERSION = \"1\", PRIORITY = 1 }";
    bundle(&[("handler.lua", endless), ("schema.lua", "error('boom')")]).unwrap();
}

#[test]
fn the_same_path_in_two_bundles_is_an_overlap() {
    let one = rooted(&[("resty/a.lua", ""), ("kong/plugins/lib/x.lua", "")]).unwrap();
    let other = bundle(&[
        ("kong/plugins/b/handler.lua", HANDLER),
        ("kong/plugins/b/schema.lua", SCHEMA),
        ("resty/a.lua", "return 1"),
        ("resty/b.lua", ""),
        ("kong/plugins/lib/y.lua", ""),
    ])
    .unwrap();
    let expected = ["kong/plugins/lib/x.lua", "kong/plugins/lib/y.lua", "resty/a.lua"].map(path);
    assert_eq!(one.overlaps(&other), expected);
    assert_eq!(other.overlaps(&one), expected);
    let apart =
        bundle(&[("kong/plugins/acme/handler.lua", HANDLER), ("kong/plugins/acme/schema.lua", SCHEMA)]).unwrap();
    assert_eq!(one.overlaps(&apart), []);
}

#[test]
fn the_digest_is_of_paths_and_bytes_alone() {
    let one = rooted(&[("resty/a.lua", "return 1")]).unwrap();
    let mut shuffled = entries(&[("resty/a.lua", "return 1"), (PLUGIN[1], SCHEMA), (PLUGIN[0], HANDLER)]);
    assert_eq!(Bundle::from_files(name("other-name"), shuffled.clone()).unwrap().digest, one.digest);
    shuffled[0].bytes.push(b'\n');
    assert_ne!(Bundle::from_files(name("acme-auth"), shuffled).unwrap().digest, one.digest);
    assert_ne!(rooted(&[("resty/b.lua", "return 1")]).unwrap().digest, one.digest);
    // Written down, as the digest is a name on nodes: a change of the rule must be seen.
    let mut hasher = crate::name::Hasher::default();
    for (path, content) in &one.files {
        hasher.update(format!("{path}\0{}\0", content.sha256()).as_bytes());
    }
    assert_eq!(one.digest, hasher.finish());
}

#[test]
fn the_payload_is_the_same_bytes_for_the_same_content_and_can_be_read_back() {
    let long = format!("kong/plugins/acme-auth/{}/{}.lua", "d".repeat(120), "f".repeat(150));
    let one = rooted(&[("resty/a.lua", "return 1"), (&long, "return 2")]).unwrap();
    let packed = one.pack();
    assert_eq!(packed, one.clone().pack());
    let back = Bundle::from_archive(name("acme-auth"), &packed, &Digest::of(&packed)).unwrap();
    assert_eq!((back.digest, back.files), (one.digest.clone(), one.files.clone()));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
    let mut seen = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        let mode = if header.entry_type().is_dir() { 0o755 } else { 0o644 };
        assert_eq!((header.mode().unwrap(), header.uid().unwrap(), header.mtime().unwrap()), (mode, 0, 0));
        seen.push(entry.path().unwrap().to_string_lossy().into_owned());
    }
    assert!(
        seen.iter().position(|path| path == "kong/plugins/").unwrap()
            < seen.iter().position(|path| path == PLUGIN[0]).unwrap()
    );
}

#[test]
fn the_manifest_is_what_sha256sum_reads() {
    let one = rooted(&[]).unwrap();
    let expected = format!(
        "{}  {}\n{}  {}\n",
        Digest::of(HANDLER.as_bytes()),
        PLUGIN[0],
        Digest::of(SCHEMA.as_bytes()),
        PLUGIN[1]
    );
    assert_eq!(one.manifest(), expected);
}

#[test]
fn an_archive_of_git_is_read_with_its_comment() {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let comment = b"52 comment=0123456789012345678901234567890123456789\n";
    let mut global = tar::Header::new_ustar();
    global.set_entry_type(tar::EntryType::XGlobalHeader);
    global.set_path("pax_global_header").unwrap();
    global.set_size(comment.len() as u64);
    global.set_cksum();
    tar.append(&global, comment.as_slice()).unwrap();
    for (path, text) in [("acme-main/handler.lua", HANDLER), ("acme-main/schema.lua", SCHEMA)] {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o600);
        header.set_mtime(1_700_000_000);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let mut gzip = tar.into_inner().unwrap();
    gzip.flush().unwrap();
    let bytes = gzip.finish().unwrap();
    let bundle = Bundle::from_archive(name("acme-auth"), &bytes, &Digest::of(&bytes)).unwrap();
    assert_eq!(paths(&bundle), PLUGIN);
}

#[test]
fn names_that_only_look_like_papers_ship() {
    let files = [
        ("kong/plugins/license-gate/handler.lua", HANDLER),
        ("kong/plugins/license-gate/schema.lua", SCHEMA),
        ("kong/plugins/license-gate/license.lua", "return {}"),
        ("kong/plugins/license-gate/LICENSE.txt", "x"),
        ("kong/plugins/license-gate/test/a.lua", "return {}"),
    ];
    let bundle = bundle(&files).unwrap();
    let expected = ["handler.lua", "license.lua", "schema.lua", "test/a.lua"]
        .map(|file| format!("kong/plugins/license-gate/{file}"));
    assert_eq!(paths(&bundle), expected);
}

#[test]
fn letter_case_counts_only_among_what_ships() {
    rooted(&[("docs/A.md", "x"), ("docs/a.md", "x")]).unwrap();
    let error = rooted(&[("kong/plugins/acme-auth/Handler.lua", "")]).unwrap_err();
    assert!(error.to_string().contains("only in letter case"), "{error}");
}

#[test]
fn sources_that_a_rockspec_maps_are_refused_below_a_package_directory_too() {
    let error =
        bundle(&[("x-1.0/src/handler.lua", HANDLER), ("x-1.0/src/schema.lua", SCHEMA), ("x-1.0/x-1.0-1.rockspec", "")]);
    assert!(error.unwrap_err().to_string().contains("rockspec"));
    let alone = bundle(&[("src/handler.lua", HANDLER), ("src/schema.lua", SCHEMA)]).unwrap();
    assert_eq!(paths(&alone), PLUGIN);
}

#[test]
fn a_second_plugin_does_not_lend_its_version_to_the_first() {
    let found = faults(rooted(&[
        ("kong/plugins/b/handler.lua", "return { PRIORITY = 1 }"),
        ("kong/plugins/b/schema.lua", SCHEMA),
    ]));
    assert_eq!(found, ["kong/plugins/b/handler.lua: the handler of plugin b has no VERSION"]);
}

#[test]
fn what_does_not_ship_is_told_below_a_package_directory_too() {
    let files =
        [("p-1/handler.lua", HANDLER), ("p-1/schema.lua", SCHEMA), ("p-1/README.md", "x"), ("p-1/spec/a.lua", "x")];
    let notes = bundle(&files).unwrap().notes;
    assert_eq!(notes, [Note::NotShipped { paths: vec!["p-1/README.md".into(), "p-1/spec/".into()], total: 2 }]);
    assert_eq!(notes[0].to_string(), "not shipped: p-1/README.md, p-1/spec/");
}

/// Every part of a name costs time, and a few kilobytes of archive can hold a million of them.
#[test]
fn names_are_limited_in_depth() {
    let deep = |parts: usize| rooted(&[(&format!("spec/{}x", "d/".repeat(parts - 2)), "")]);
    assert!(deep(64).is_ok());
    assert!(deep(65).unwrap_err().to_string().contains("more than 64 directories deep"));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("kong".to_owned()),
            Just("plugins".to_owned()),
            Just("handler.lua".to_owned()),
            Just("schema.lua".to_owned()),
            Just("src".to_owned()),
            Just("spec".to_owned()),
            Just("..".to_owned()),
            "[a-cA-C._~/\\\\-]{0,4}",
        ]
    }

    fn file() -> impl Strategy<Value = SourceEntry> {
        let path = proptest::collection::vec(part(), 1..5).prop_map(|parts| parts.join("/"));
        let plugin =
            prop_oneof![Just(PLUGIN[0].to_owned()), Just(PLUGIN[1].to_owned()), Just("handler.lua".to_owned()), path];
        let text = prop_oneof![Just(HANDLER.to_owned()), Just(SCHEMA.to_owned()), ".{0,20}"];
        (plugin, text).prop_map(|(path, text)| SourceEntry::file(path, text))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_tree_is_a_bundle_that_survives_packing_or_an_error(
            files in proptest::collection::vec(file(), 0..8),
            whole in any::<bool>(),
        ) {
            let own = if whole { entries(&[("kong/plugins/z/handler.lua", HANDLER), ("kong/plugins/z/schema.lua", SCHEMA)]) } else { Vec::new() };
            match Bundle::from_files(name("acme-auth"), files.into_iter().chain(own)) {
                Ok(bundle) => {
                    let packed = bundle.pack();
                    let back = Bundle::from_archive(name("acme-auth"), &packed, &Digest::of(&packed)).unwrap();
                    prop_assert_eq!(&back.files, &bundle.files);
                    prop_assert_eq!(&back.digest, &bundle.digest);
                    prop_assert!(bundle.files.keys().all(|path| bundle.roots.iter().any(|root| below(root, path))));
                }
                Err(error) => prop_assert!(!error.hints().is_empty() && !error.to_string().is_empty()),
            }
        }
    }
}
