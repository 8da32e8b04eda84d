use std::fmt::Write as _;

use super::*;

/// The unit of the official packages of 3.4 and 3.9 (facts.md A6).
const PACKAGED: &str = "[Unit]\nDescription=Kong\nAfter=syslog.target network.target remote-fs.target nss-lookup.target\n\n\
    [Service]\nUser=root\nExecStartPre=/usr/local/bin/kong prepare -p /usr/local/kong\n\
    ExecStart=/usr/local/openresty/nginx/sbin/nginx -p /usr/local/kong -c nginx.conf\n\
    ExecReload=/usr/local/bin/kong prepare -p /usr/local/kong\n\
    ExecReload=/usr/local/openresty/nginx/sbin/nginx -p /usr/local/kong -c nginx.conf -s reload\n\
    ExecStop=/bin/kill -s QUIT $MAINPID\nPrivateTmp=true\n\n# Variables named KONG_ and a setting\n\
    # beat kong.conf.\nEnvironment=KONG_NGINX_DAEMON=off\n\n\
    LimitNOFILE=infinity\n\n[Install]\nWantedBy=multi-user.target\n";
const UNIT: &str = "/lib/systemd/system/kong.service";
const FILE: &str = "/etc/default/kong";
const NAME: &str = "KONG_PLUGINS";

fn file(path: &str, text: &str) -> (String, UnitFile) {
    let content = Content::Read(text.as_bytes().to_vec());
    (path.to_owned(), UnitFile { real: NodePath::parse(path).ok(), writable: true, content })
}

fn unit(environment: &str, more: &[(Role, &str, &str)]) -> Unit {
    let of = |role| more.iter().filter(move |(is, ..)| *is == role).map(|(_, path, _)| *path);
    let drop_ins = of(Role::DropIn).collect::<Vec<_>>().join(" ");
    let mut shown = format!(
        "MainPID=71
Environment={environment}
Id=kong.service
LoadState=loaded
FragmentPath={UNIT}
\
         DropInPaths={drop_ins}
NeedDaemonReload=no
"
    );
    for path in of(Role::EnvironmentFile) {
        let _ = writeln!(shown, "EnvironmentFiles={path} (ignore_errors=yes)");
    }
    let files = more.iter().map(|(_, path, text)| file(path, text)).chain([file(UNIT, PACKAGED)]).collect();
    Unit::read(
        "kong.service",
        &shown,
        "Environment=LANG=C PATH=/usr/bin
",
        &files,
        true,
    )
    .unwrap()
}

fn set(told: Told) -> (String, Option<usize>, String) {
    match told {
        Told::Set(Assigned { place, line, value, .. }) => (place, line, value),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_packaged_unit_sets_no_plugins() {
    let unit = unit("KONG_NGINX_DAEMON=off", &[]);
    assert_eq!((unit.told(NAME), unit.main_pid, unit.stale), (Told::Unset, Some(71), false));
    assert_eq!(set(unit.told("KONG_NGINX_DAEMON")), (UNIT.to_owned(), Some(16), "off".to_owned()));
    assert!(unit.occurrences(NAME).is_empty());
    assert!(unit.edit(NAME, "bundled,a").is_err());
}

#[test]
fn a_drop_in_beats_the_unit_and_an_environment_file_beats_both() {
    let ten = "/etc/systemd/system/kong.service.d/10-plugins.conf";
    let drop_in = (Role::DropIn, ten, "[Service]\nEnvironment=\"KONG_PLUGINS=bundled, a\"\n");
    let environment = "KONG_NGINX_DAEMON=off \"KONG_PLUGINS=bundled, a\"";
    let one = unit(environment, &[drop_in]);
    assert_eq!(set(one.told(NAME)), (ten.to_owned(), Some(2), "bundled, a".to_owned()));
    let file = (Role::EnvironmentFile, FILE, "# x\nKONG_PLUGINS=bundled\nKONG_PLUGINS='bundled,b'\n");
    let both = unit(environment, &[drop_in, file]);
    assert_eq!(set(both.told(NAME)), (FILE.to_owned(), Some(3), "bundled,b".to_owned()));
    assert_eq!(both.occurrences(NAME).len(), 3);
    let edit = both.edit(NAME, "bundled,b,c").unwrap();
    assert_eq!((edit.path.as_str(), edit.drop_in), (FILE, false));
    assert_eq!(edit.after, b"# x\nKONG_PLUGINS=bundled\nKONG_PLUGINS=bundled,b,c\n");
}

#[test]
fn a_value_that_systemctl_does_not_print_is_read_from_the_files() {
    let ten = "/etc/systemd/system/kong.service.d/10-plugins.conf";
    let drop_in = (Role::DropIn, ten, "[Service]\nEnvironment=\"KONG_PLUGINS=bundled, a\"\n");
    let told = unit("KONG_NGINX_DAEMON=off [unprintable]", &[drop_in]).told(NAME);
    assert_eq!(set(told), (ten.to_owned(), Some(2), "bundled, a".to_owned()));
    assert_eq!(unit("[unprintable]", &[]).told(NAME), Told::Unset);
    let stale = Unit { stale: true, ..unit("[unprintable]", &[drop_in]) };
    assert!(matches!(stale.told(NAME), Told::Unknown(_)));
}

#[test]
fn what_stands_in_environment_is_beaten_by_a_drop_in_of_ours() {
    let ten =
        (Role::DropIn, "/etc/systemd/system/kong.service.d/10-plugins.conf", "[Service]\nEnvironment=KONG_PLUGINS=a\n");
    let one = unit("KONG_PLUGINS=a", &[ten]);
    let edit = one.edit(NAME, "a,b").unwrap();
    let ours = "/etc/systemd/system/kong.service.d/zz-muster.conf";
    assert_eq!((edit.path.as_str(), &edit.before, edit.drop_in), (ours, &None, true));
    let text = String::from_utf8(edit.after).unwrap();
    assert!(text.ends_with("[Service]\nEnvironment=\"KONG_PLUGINS=a,b\"\n"), "{text}");
    // Then it is the line in it that is changed, and what else stands there stays.
    let edited = format!("{text}# kept\nEnvironment=OTHER=1\n");
    let two = unit("KONG_PLUGINS=a,b OTHER=1", &[ten, (Role::DropIn, ours, &edited)]);
    assert_eq!(set(two.told(NAME)).0, ours);
    let again = two.edit(NAME, "a").unwrap();
    assert_eq!(again.before.as_deref(), Some(edited.as_bytes()));
    assert_eq!(String::from_utf8(again.after).unwrap(), edited.replace("a,b", "a"));
    // What sorts behind ours cannot be beaten by it.
    let late = "/etc/systemd/system/kong.service.d/zzz.conf";
    let beaten = unit("KONG_PLUGINS=a", &[(Role::DropIn, late, "[Service]\nEnvironment=KONG_PLUGINS=a\n")]);
    let why = beaten.edit(NAME, "a,b").err().unwrap();
    assert_eq!(why, format!("{late}:2 would beat a drop-in of ours"));
    let line = format!("write  Environment=\"KONG_PLUGINS=a,b\"  into {late}, then type: systemctl daemon-reload");
    assert_eq!(beaten.line(NAME, "a,b"), line);
}

#[test]
fn what_cannot_be_told_is_not_guessed() {
    let mut unread = unit("KONG_PLUGINS=a", &[(Role::EnvironmentFile, FILE, "")]);
    unread.sources[1].file.content = Content::Unreadable;
    assert_eq!(unread.told(NAME), Told::Unknown(format!("{FILE} of kong.service could not be read")));
    assert!(unread.edit(NAME, "b").is_err());
    let broken = unit("\"KONG_PLUGINS=a", &[]);
    assert!(matches!(broken.told(NAME), Told::Unknown(_)));
    // Files that say otherwise than systemd: its word counts, and no line is named.
    let specifier = (Role::DropIn, "/run/x.conf", "[Service]\nEnvironment=KONG_PLUGINS=%p\n");
    assert_eq!(
        set(unit("KONG_PLUGINS=kong", &[specifier]).told(NAME)),
        ("kong.service".to_owned(), None, "kong".to_owned())
    );
    let stale = Unit {
        stale: true,
        ..unit("KONG_PLUGINS=a", &[(Role::DropIn, "/x.conf", "[Service]\nEnvironment=KONG_PLUGINS=a\n")])
    };
    assert!(stale.edit(NAME, "b").err().unwrap().contains("systemd has not read them"));
}

#[test]
fn an_empty_environment_clears_and_an_unset_takes_away() {
    let clears = (
        Role::DropIn,
        "/etc/systemd/system/kong.service.d/9.conf",
        "[Service]\nEnvironment=KONG_PLUGINS=a\nEnvironment=\n",
    );
    assert_eq!(unit("", &[clears]).told(NAME), Told::Unset);
    let mut taken = unit("KONG_PLUGINS=a", &[]);
    taken.unset = vec![NAME.to_owned()];
    assert!(taken.takes_away(NAME));
    assert_eq!(taken.told(NAME), Told::Unset);
    let manager = Unit { manager: vec!["KONG_PLUGINS=m".to_owned()], ..unit("", &[]) };
    assert_eq!(set(manager.told(NAME)).0, "systemd's own environment");
    assert!(manager.edit(NAME, "m,a").unwrap().drop_in);
}

#[test]
fn of_the_units_those_that_are_loaded_are_told() {
    let shown = "Id=kong.service\nLoadState=not-found\nMainPID=0\n\nId=kong-enterprise-edition.service\nLoadState=loaded\nMainPID=9\n";
    assert_eq!(Unit::loaded(shown), [("kong-enterprise-edition.service".to_owned(), Some(9))]);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever sets it, what is edited is what systemd reads then, by the same rules.
        #[test]
        fn an_edit_is_what_counts_then(first in "[a-z,]{0,8}", file in proptest::option::of("[a-z,]{0,8}"), value in "[a-z,]{1,12}") {
            let ten = format!("[Service]\nEnvironment=\"KONG_PLUGINS={first}\"\n");
            let text = file.as_ref().map(|value| format!("KONG_PLUGINS={value}\n"));
            let mut more = vec![(Role::DropIn, "/etc/systemd/system/kong.service.d/10.conf", ten.as_str())];
            more.extend(text.as_ref().map(|text| (Role::EnvironmentFile, FILE, text.as_str())));
            let before = unit(&format!("KONG_PLUGINS={first}"), &more);
            prop_assert_eq!(set(before.told(NAME)).2, file.clone().unwrap_or(first.clone()));
            let edit = before.edit(NAME, &value).unwrap();
            let after = String::from_utf8(edit.after).unwrap();
            let (role, path) = if edit.drop_in { (Role::DropIn, edit.path.as_str()) } else { (Role::EnvironmentFile, FILE) };
            let mut then = vec![more[0]];
            then.push((role, path, &after));
            let shown = if edit.drop_in { &value } else { &first };
            prop_assert_eq!(set(unit(&format!("KONG_PLUGINS={shown}"), &then).told(NAME)).2, value);
        }
    }
}

#[test]
fn every_variable_of_kongs_is_given_with_what_counts_for_it() {
    let of = |unit: &Unit| unit.variables();
    let plain = unit("KONG_NGINX_DAEMON=off LANG=C KONG_PLUGINS=bundled", &[]);
    assert_eq!(of(&plain).unwrap(), ["KONG_NGINX_DAEMON=off", "KONG_PLUGINS=bundled"]);
    let text = "KONG_PLUGINS=\"bundled,a\"\nKONG_PG_PASSWORD='x y'\nOTHER=1\n";
    let beaten = unit("KONG_PLUGINS=bundled", &[(Role::EnvironmentFile, FILE, text)]);
    assert_eq!(of(&beaten).unwrap(), ["KONG_PG_PASSWORD=x y", "KONG_PLUGINS=bundled,a"]);
}

#[test]
fn what_a_unit_does_at_a_reload_is_told_and_an_empty_line_forgets_it() {
    let packaged = unit("", &[]).reloads_by();
    assert_eq!(packaged.len(), 2);
    assert_eq!(packaged[0], "/usr/local/bin/kong prepare -p /usr/local/kong");
    let path = "/etc/systemd/system/kong.service.d/10.conf";
    let none = unit("", &[(Role::DropIn, path, "[Service]\nExecReload=\n")]);
    assert!(none.reloads_by().is_empty());
    let own = unit("", &[(Role::DropIn, path, "[Service]\nExecReload=\nExecReload=/bin/true\n")]);
    assert_eq!(own.reloads_by(), ["/bin/true"]);
}
