//! `inventory.example.yaml`: read out of a real repository with everything that it names, and planned against a fleet.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use git2::{IndexAddOption, Oid, Repository as Git, RepositoryInitOptions, Signature, Time};
use muster::bundle::{Bundle, SourceEntry};
use muster::fleet::{Desired, Source};
use muster::git::Repository;
use muster::inventory::{self, BundleSource, Inventory};
use muster::name::{BundleName, Digest, NodeName, PluginName};
use muster::plan::{BlockerCode, Goal, Plan, Selection};

use super::file::{Seen, World};
use super::fleet::NodeModel;
use super::sound;

const EXAMPLE: &str = include_str!("../../../inventory.example.yaml");

/// What decK syncs to the cluster of the example.
const STATE: &[u8] = b"_info: { select_tags: [edge] }\nplugins:\n  - name: old-quota\n";

fn files(plugin: &str, version: &str) -> Vec<(String, String)> {
    let handler =
        format!("local H = {{ VERSION = \"{version}\", PRIORITY = 900 }}\nfunction H:access() end\nreturn H\n");
    let schema = format!("return {{ name = \"{plugin}\", fields = {{}} }}\n");
    vec![(format!("plugins/{plugin}/handler.lua"), handler), (format!("plugins/{plugin}/schema.lua"), schema)]
}

/// Writes files and commits them, without the machine's own Git configuration.
fn commit(git: &Git, files: &[(String, Vec<u8>)], message: &str) -> Oid {
    let top = git.workdir().expect("it has a work tree");
    for (path, bytes) in files {
        let path = top.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory above")).expect("a directory can be made");
        std::fs::write(path, bytes).expect("a file can be written");
    }
    let mut index = git.index().expect("an index");
    index.add_all(["*"], IndexAddOption::DEFAULT, None).expect("files are added");
    index.write().expect("the index is written");
    let tree = git.find_tree(index.write_tree().expect("a tree")).expect("the tree is there");
    let who = Signature::new("A", "a@example.org", &Time::new(1_700_000_000, 0)).expect("a signature");
    let parent = git.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    git.commit(Some("HEAD"), &who, &who, message, &tree, &parents).expect("a commit")
}

/// The repository of the example: 2.0.0 of acme-auth under its tag, 1.4.2 as an archive, the inventory with its digest.
fn repository(dir: &Path) {
    let mut options = RepositoryInitOptions::new();
    options.initial_head("main").external_template(false);
    let git = Git::init_opts(dir, &options).expect("a repository");
    let bytes = |files: Vec<(String, String)>| -> Vec<(String, Vec<u8>)> {
        files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect()
    };
    let tagged = commit(&git, &bytes(files("acme-auth", "2.0.0")), "acme-auth 2.0.0");
    let tagged = git.find_object(tagged, None).expect("the commit is there");
    git.tag_lightweight("acme-auth-v2.0.0", &tagged, false).expect("a tag");
    let name = BundleName::parse("acme-auth").expect("a name");
    let old = files("acme-auth", "1.4.2").into_iter();
    let old = old.map(|(path, text)| SourceEntry::file(path.replace("plugins/acme-auth/", ""), text));
    let archive = Bundle::from_files(name, old).expect("a bundle").pack();
    let inventory = EXAMPLE.replace(written(), Digest::of(&archive).as_str());
    // What stands at the planned commit is not what the tag has.
    let mut all = bytes(files("acme-auth", "2.1.0"));
    all.extend(bytes(files("request-tag", "1.0.0")));
    all.push(("dist/acme-auth-1.4.2.tar.gz".to_owned(), archive));
    all.push(("deck/eu-prod.yaml".to_owned(), STATE.to_vec()));
    all.push(("inventory.yaml".to_owned(), inventory.into_bytes()));
    commit(&git, &all, "The fleet of the example");
}

/// The digest that the example has written down.
fn written() -> &'static str {
    let (_, rest) = EXAMPLE.split_once("sha256: ").expect("the example has an archive");
    rest.split_whitespace().next().expect("with a digest")
}

/// The inventory and every bundle of it, by `name@version`.
fn read(dir: &Path) -> (Inventory, BTreeMap<String, Arc<Bundle>>) {
    let repository = Repository::open(dir).expect("it can be opened");
    let commit = repository.resolve("HEAD").expect("a commit");
    let tree = repository.tree(&commit.revision).expect("its tree");
    let (file, bytes) = tree.inventory(None).expect("it has an inventory");
    let inventory = inventory::parse(&file, &bytes).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut bundles = BTreeMap::new();
    for (name, entry) in &inventory.bundles {
        for (version, source) in entry.sources() {
            let bundle = match source {
                BundleSource::Directory { dir, at, .. } => {
                    let entries = match at {
                        None => tree.source(dir).expect("the directory is there"),
                        Some(at) => {
                            let at = repository.resolve_at(at).expect("the tag is there").revision;
                            repository.tree(&at).expect("its tree").source(dir).expect("the directory is there")
                        }
                    };
                    let entries = entries.into_iter().map(|entry| SourceEntry::file(entry.path, entry.bytes));
                    Bundle::from_files(name.clone(), entries)
                }
                BundleSource::Archive { archive, sha256, .. } => {
                    let bytes = tree.read(archive).expect("the archive is there");
                    Bundle::from_archive(name.clone(), &bytes, sha256)
                }
            };
            let label = version.map(|version| format!("@{version}")).unwrap_or_default();
            bundles
                .insert(format!("{name}{label}"), Arc::new(bundle.unwrap_or_else(|error| panic!("{name}: {error}"))));
        }
    }
    (inventory, bundles)
}

/// The fleet of the example: the canary is done, production runs the version before, the edge has nothing.
fn world(dir: &Path) -> World {
    let (inventory, bundles) = read(dir);
    let mut nodes = BTreeMap::new();
    for (number, node) in inventory.nodes().enumerate() {
        let mut model = NodeModel::new(node.kong.clone(), number as u64 + 1);
        let geo = PluginName::parse("geo-ip").expect("a name");
        model.elsewhere.insert(geo, Some("0.9.0".to_owned()));
        let plugins = match node.cluster.as_str() {
            "eu-canary" => {
                model.install(&bundles["acme-auth@2.0.0"], &inventory.owner, super::fleet::CLOCK - 9000);
                model.install(&bundles["request-tag"], &inventory.owner, super::fleet::CLOCK - 9000);
                "bundled,acme-auth,request-tag"
            }
            "eu-prod" => {
                model.install(&bundles["acme-auth@1.4.2"], &inventory.owner, super::fleet::CLOCK - 9000);
                "bundled,acme-auth,geo-ip"
            }
            _ => "bundled",
        };
        model.write_conf(plugins);
        model.write_env(plugins, super::fleet::DEFAULT_PATH);
        model.start(super::fleet::CLOCK - 8000, 2);
        nodes.insert(node.name.clone(), Seen::Model(Box::new(model)));
    }
    World { inventory, bundles, nodes, selection: Selection::default(), allow: Vec::new(), goal: Goal::InLine }
}

fn waves(plan: &Plan, cluster: &str) -> Vec<usize> {
    plan.waves.iter().filter(|wave| wave.cluster.as_str() == cluster).map(|wave| wave.nodes.len()).collect()
}

#[test]
fn the_example_inventory_is_read_from_git_and_planned() {
    let dir = tempfile::tempdir().expect("a directory");
    repository(dir.path());
    let mut world = world(dir.path());
    let version = |name: &str| {
        let bundle = &world.bundles[name];
        bundle.plugins.values().next().and_then(|plugin| plugin.version.clone())
    };
    assert_eq!(version("acme-auth@2.0.0").as_deref(), Some("2.0.0"), "the tag, not the planned commit");
    assert_eq!(version("acme-auth@1.4.2").as_deref(), Some("1.4.2"), "the archive");

    let planned = world.planned();
    sound(&world.inventory, &planned).unwrap_or_else(|why| panic!("{why}"));
    let plan = &planned.plan;
    let cluster = |name: &str| plan.clusters.iter().find(|cluster| cluster.cluster.as_str() == name).expect("planned");
    assert_eq!(cluster("eu-canary").nodes.in_line.len(), 1);
    assert_eq!((cluster("eu-prod").nodes.changing.len(), cluster("eu-prod").nodes.out.len()), (41, 1));
    assert_eq!(waves(plan, "eu-prod"), [1, 2, 8, 30], "1, 5 %, 25 % and all of 41");
    let codes: Vec<BlockerCode> = plan.blockers.iter().map(|blocker| blocker.code).collect();
    // On three nodes of the edge the directive is external and does not name the plugin yet.
    assert_eq!(codes, [BlockerCode::ExternalMissing; 3]);
    assert_eq!(plan.steps.iter().filter(|step| step.reloads()).count(), 41, "nothing of the edge is reloaded");

    let plan = planned.plan.clone();
    world.apply(&plan);
    let second = world.planned();
    assert!(second.plan.is_empty(), "{:?}", second.plan.steps.first());
    let done: Vec<&NodeName> = second.plan.clusters.iter().flat_map(|cluster| &cluster.nodes.in_line).collect();
    assert_eq!(done.len(), 1 + 41 + 9);
}

#[test]
fn what_else_configures_a_cluster_is_read_from_the_commit_and_not_from_the_work_tree() {
    let dir = tempfile::tempdir().expect("a directory");
    repository(dir.path());
    std::fs::write(dir.path().join("deck/eu-prod.yaml"), "plugins: []\n").expect("a file can be written");
    let source = Source { repo: dir.path().to_owned(), rev: "HEAD".to_owned(), inventory: None };
    let desired = Desired::read(&source).unwrap_or_else(|error| panic!("{error}"));
    let declares = desired.inventory.clusters.values().find_map(|cluster| cluster.declared_in.first());
    let declares = &declares.expect("the example names a file").declares;
    let places: Vec<String> = declares.plugins.iter().map(|(name, places)| format!("{name} {}", places[0])).collect();
    assert_eq!((places, declares.select_tags.contains("edge")), (vec!["old-quota 3:11".to_owned()], true));
    assert_eq!(desired.dirty, ["deck/eu-prod.yaml"], "it is said that what was not committed is not used");

    let git = Git::open(dir.path()).expect("the repository");
    std::fs::remove_file(dir.path().join("deck/eu-prod.yaml")).expect("a file can be removed");
    let mut index = git.index().expect("an index");
    index.remove_path(Path::new("deck/eu-prod.yaml")).expect("it is taken out");
    index.write().expect("the index is written");
    commit(&git, &[], "Without it");
    let error = Desired::read(&source).err().expect("a file that is not committed cannot be read").to_string();
    let at = EXAMPLE.lines().position(|line| line.contains("declared_in:")).expect("it is in the example") + 1;
    assert!(error.starts_with(&format!("inventory.yaml:{at}:19: declared_in: ")), "{error}");
    assert!(error.contains("deck/eu-prod.yaml"), "{error}");
}

#[test]
fn an_archive_that_is_not_the_one_written_down_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    repository(dir.path());
    let repository = Repository::open(dir.path()).expect("it can be opened");
    let tree = repository.tree(&repository.resolve("HEAD").expect("a commit").revision).expect("its tree");
    let inventory =
        inventory::parse("inventory.yaml", EXAMPLE.as_bytes()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let name = BundleName::parse("acme-auth").expect("a name");
    let sources = inventory.bundles[&name].sources();
    let archive = sources.iter().find_map(|(_, source)| match source {
        BundleSource::Archive { archive, sha256, .. } => Some((archive, sha256)),
        BundleSource::Directory { .. } => None,
    });
    let (archive, sha256) = archive.expect("the example has an archive");
    let bytes = tree.read(archive).expect("it is in the commit");
    let error = Bundle::from_archive(name.clone(), &bytes, sha256).expect_err("another digest is written down");
    assert!(error.to_string().contains(written()) || error.to_string().contains(&written()[..12]), "{error}");
}
