//! Real repositories: made by libgit2, or by the `git` command where libgit2 cannot make one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::inventory::{GitRev, TreePath};

/// A repository with a work tree in a temporary directory.
struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let scratch = Self { dir: tempfile::tempdir().unwrap() };
        scratch.git(&["init", "-q", "-b", "main", "repo"]);
        scratch
    }

    /// With one commit that holds an inventory and a plugin.
    fn with_fleet() -> Self {
        let scratch = Self::new();
        scratch.write("inventory.yaml", "version: 1\n");
        scratch.write("plugins/tag/handler.lua", "return {}\n");
        scratch.write("plugins/tag/bin/run.sh", "#!/bin/sh\n");
        fs::set_permissions(scratch.repo().join("plugins/tag/bin/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        scratch.commit("Begin");
        scratch
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn commit(&self, message: &str) {
        self.git(&["-C", "repo", "add", "-A"]);
        self.git(&["-C", "repo", "commit", "-q", "--allow-empty", "-m", message]);
    }

    /// The `git` command without the operator's configuration.
    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", option_env!("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin"))
            .env("HOME", self.dir.path())
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0")])
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
            .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
            .envs([("GIT_AUTHOR_DATE", "1700000000 +0100"), ("GIT_COMMITTER_DATE", "1700000000 +0100")])
            .args([
                "-c",
                "protocol.file.allow=always",
                "-c",
                "core.autocrlf=false",
                "-c",
                "uploadpack.allowFilter=true",
            ])
            .args(arguments)
            .output()
            .expect("git is on this machine");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn open(&self) -> Repository {
        Repository::open(&self.repo()).unwrap()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn rev(text: &str) -> GitRev {
    GitRev::parse(text).unwrap()
}

/// What reading the inventory of HEAD gives.
fn inventory(repository: &Repository) -> Result<String, GitError> {
    let head = repository.resolve("HEAD")?;
    let (_, bytes) = repository.tree(&head.revision)?.inventory(None)?;
    Ok(String::from_utf8(bytes).unwrap())
}

fn error<T>(result: Result<T, GitError>) -> GitError {
    match result {
        Ok(_) => panic!("this should be an error"),
        Err(error) => {
            assert!(!error.hints().is_empty(), "{error}");
            error
        }
    }
}

#[test]
fn the_inventory_comes_from_the_commit_and_not_from_the_work_tree() {
    let scratch = Scratch::with_fleet();
    scratch.write("inventory.yaml", "version: 2\n");
    assert_eq!(inventory(&scratch.open()).unwrap(), "version: 1\n");
}

#[test]
fn a_commit_is_told_with_its_branch_and_time() {
    let scratch = Scratch::with_fleet();
    let commit = scratch.open().resolve("HEAD").unwrap();
    assert_eq!(commit.revision.as_str(), scratch.git(&["-C", "repo", "rev-parse", "HEAD"]));
    assert_eq!((commit.summary.as_str(), commit.branch.as_deref()), ("Begin", Some("main")));
    assert_eq!(commit.time.as_second(), 1_700_000_000);
    assert_eq!(scratch.open().resolve("main").unwrap().branch, None);
    scratch.git(&["-C", "repo", "checkout", "-q", "--detach"]);
    assert_eq!(scratch.open().resolve("HEAD").unwrap().branch, None);
}

#[test]
fn a_summary_cannot_reach_the_terminal_raw() {
    let scratch = Scratch::with_fleet();
    scratch.commit("\u{1b}[2Jowned");
    assert_eq!(scratch.open().resolve("HEAD").unwrap().summary, "\u{fffd}[2Jowned");
}

#[test]
fn a_repository_made_by_libgit2_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let made = git2::Repository::init(dir.path()).unwrap();
    let blob = made.blob(b"version: 1\n").unwrap();
    let mut builder = made.treebuilder(None).unwrap();
    builder.insert("inventory.yaml", blob, 0o100_644).unwrap();
    let tree = made.find_tree(builder.write().unwrap()).unwrap();
    let who = git2::Signature::new("A", "a@example.org", &git2::Time::new(1, 0)).unwrap();
    made.commit(Some("HEAD"), &who, &who, "Begin", &tree, &[]).unwrap();
    assert_eq!(inventory(&Repository::open(dir.path()).unwrap()).unwrap(), "version: 1\n");
}

#[test]
fn the_repository_is_found_from_below() {
    let scratch = Scratch::with_fleet();
    let below = Repository::open(&scratch.repo().join("plugins/tag")).unwrap();
    assert_eq!(inventory(&below).unwrap(), "version: 1\n");
    assert_eq!(below.top().unwrap().canonicalize().unwrap(), scratch.repo().canonicalize().unwrap());
}

#[test]
fn bare_linked_and_shallow_clones_are_read() {
    let scratch = Scratch::with_fleet();
    scratch.commit("More");
    scratch.git(&["clone", "-q", "--bare", "repo", "bare.git"]);
    scratch.git(&["-C", "repo", "worktree", "add", "-q", "--detach", "../linked"]);
    let source = format!("file://{}", scratch.repo().display());
    scratch.git(&["clone", "-q", "--depth", "1", &source, "shallow"]);
    for name in ["bare.git", "linked", "shallow"] {
        let repository = Repository::open(&scratch.at(name)).unwrap();
        assert_eq!(inventory(&repository).unwrap(), "version: 1\n", "{name}");
        let head = repository.resolve("HEAD").unwrap().revision;
        assert!(repository.dirty(&head, &[path(".")]).unwrap().is_empty(), "{name}");
    }
    let shallow = Repository::open(&scratch.at("shallow")).unwrap();
    let unknown = error(shallow.resolve("HEAD~1"));
    assert_eq!(unknown.hints().last().unwrap().to_string(), "type: git fetch --unshallow --tags");
}

#[test]
fn no_repository_says_how_to_name_one() {
    let dir = tempfile::tempdir().unwrap();
    for missing in [dir.path().to_owned(), dir.path().join("nothing")] {
        let error = error(Repository::open(&missing).map(|_| ()));
        assert_eq!(error, GitError::NoRepository { path: missing });
        assert!(error.hints()[0].to_string().contains("--repo"));
    }
}

#[test]
fn a_branch_without_a_commit_is_told() {
    let scratch = Scratch::new();
    assert_eq!(error(scratch.open().resolve("HEAD")), GitError::Unborn { branch: "main".to_owned() });
}

#[test]
fn unknown_and_wrong_revisions_are_told() {
    let scratch = Scratch::with_fleet();
    scratch.git(&["-C", "repo", "tag", "acme-v1.0.0"]);
    let repository = scratch.open();
    let unknown = error(repository.resolve("acme-v1.0.1"));
    assert_eq!(
        unknown,
        GitError::UnknownRevision { rev: "acme-v1.0.1".into(), near: Some("acme-v1.0.0".into()), shallow: false }
    );
    assert_eq!(
        error(repository.resolve("HEAD:inventory.yaml")),
        GitError::NotACommit { rev: "HEAD:inventory.yaml".into() }
    );
    assert!(matches!(error(repository.resolve("")), GitError::UnknownRevision { .. } | GitError::Other { .. }));
}

#[test]
fn a_source_is_taken_at_a_tag_or_a_commit_and_never_at_a_branch() {
    let scratch = Scratch::with_fleet();
    scratch.git(&["-C", "repo", "tag", "light"]);
    scratch.git(&["-C", "repo", "tag", "-a", "-m", "x", "heavy"]);
    let first = scratch.git(&["-C", "repo", "rev-parse", "HEAD"]);
    scratch.commit("More");
    let repository = scratch.open();
    for at in ["light", "heavy", "refs/tags/heavy", &first, &first[..9]] {
        assert_eq!(repository.resolve_at(&rev(at)).unwrap().revision.as_str(), first, "{at}");
    }
    let now = scratch.git(&["-C", "repo", "rev-parse", "HEAD"]);
    for at in ["main", "refs/heads/main"] {
        assert_eq!(error(repository.resolve_at(&rev(at))), GitError::Moving { rev: at.into(), now: now.clone() });
    }
    for at in ["v9", "0123456", "HEAD1"] {
        assert!(matches!(error(repository.resolve_at(&rev(at))), GitError::UnknownRevision { .. }), "{at}");
    }
    let blob = scratch.git(&["-C", "repo", "rev-parse", "HEAD:inventory.yaml"]);
    assert!(matches!(error(repository.resolve_at(&rev(&blob))), GitError::NotACommit { .. }));
}

#[test]
fn a_tag_wins_over_a_branch_of_the_same_name() {
    let scratch = Scratch::with_fleet();
    scratch.git(&["-C", "repo", "tag", "both"]);
    let tagged = scratch.git(&["-C", "repo", "rev-parse", "HEAD"]);
    scratch.git(&["-C", "repo", "checkout", "-q", "-b", "both"]);
    scratch.commit("More");
    assert_eq!(scratch.open().resolve_at(&rev("both")).unwrap().revision.as_str(), tagged);
}

#[test]
fn a_directory_is_listed_with_everything_below_it() {
    let scratch = Scratch::with_fleet();
    scratch.write("plugins/tag/a dir/x-\u{e9}.lua", "x");
    scratch.commit("More");
    let repository = scratch.open();
    let tree = repository.tree(&repository.resolve("HEAD").unwrap().revision).unwrap();
    let entries = tree.source(&path("plugins/tag")).unwrap();
    let found: Vec<_> =
        entries.iter().map(|e| (String::from_utf8_lossy(&e.path).into_owned(), e.kind, e.mode)).collect();
    assert_eq!(
        found,
        [
            ("a dir/x-\u{e9}.lua".to_owned(), Kind::File, 0o100_644),
            ("bin/run.sh".to_owned(), Kind::Executable, 0o100_755),
            ("handler.lua".to_owned(), Kind::File, 0o100_644),
        ]
    );
    assert_eq!(entries[2].bytes, b"return {}\n");
    assert_eq!(entries[2].oid, scratch.git(&["-C", "repo", "rev-parse", "HEAD:plugins/tag/handler.lua"]));
    assert_eq!(tree.list(&path(".")).unwrap().len(), 4);
}

#[test]
fn what_is_not_in_the_commit_is_told_with_what_may_be_meant() {
    let scratch = Scratch::new();
    scratch.write("fleet/inventory.yaml", "version: 1\n");
    scratch.write("other.yml", "version: 1\nclusters: {}\n");
    scratch.write("deck.yaml", "_format_version: \"3.0\"\n");
    scratch.commit("Begin");
    scratch.write("inventory.yaml", "not committed");
    let repository = scratch.open();
    let tree = repository.tree(&repository.resolve("HEAD").unwrap().revision).unwrap();
    let GitError::NoInventory { path: asked, candidates, .. } = error(tree.inventory(None)) else { panic!() };
    assert_eq!(
        (asked.as_str(), candidates),
        ("inventory.yaml", vec!["fleet/inventory.yaml".into(), "other.yml".into()])
    );
    let (name, _) = tree.inventory(Some(&path("fleet/inventory.yaml"))).unwrap();
    assert_eq!(name, "fleet/inventory.yaml");
    assert!(matches!(error(tree.read(&path("fleet"))), GitError::WrongKind { found: "a directory", .. }));
    assert!(matches!(error(tree.list(&path("other.yml"))), GitError::WrongKind { found: "a file", .. }));
    assert!(matches!(error(tree.read(&path("other.yml/x"))), GitError::WrongKind { found: "a file", .. }));
    assert!(matches!(error(tree.list(&path("plugins"))), GitError::NotInTree { .. }));
}

#[test]
fn links_are_refused_at_every_place() {
    let scratch = Scratch::with_fleet();
    symlink("/etc", scratch.repo().join("plugins/tag/out")).unwrap();
    symlink("tag", scratch.repo().join("plugins/alias")).unwrap();
    symlink("inventory.yaml", scratch.repo().join("link.yaml")).unwrap();
    scratch.commit("Links");
    let repository = scratch.open();
    let tree = repository.tree(&repository.resolve("HEAD").unwrap().revision).unwrap();
    let of = |error: GitError| match error {
        GitError::Symlink { path, .. } => path,
        other => panic!("{other}"),
    };
    assert_eq!(of(error(tree.source(&path("plugins/tag")))), "plugins/tag/out");
    assert_eq!(of(error(tree.list(&path("plugins/alias")))), "plugins/alias");
    assert_eq!(of(error(tree.read(&path("plugins/alias/handler.lua")))), "plugins/alias");
    assert_eq!(of(error(tree.read(&path("link.yaml")))), "link.yaml");
    let listed = tree.list(&path("plugins/tag")).unwrap();
    let link = listed.iter().find(|entry| entry.kind == Kind::Symlink).unwrap();
    assert_eq!((link.path.as_slice(), link.bytes.as_slice(), link.mode), (&b"out"[..], &b"/etc"[..], 0o120_000));
}

#[test]
fn submodules_are_refused() {
    let scratch = Scratch::with_fleet();
    let other = Scratch::with_fleet();
    let url = format!("file://{}", other.repo().display());
    scratch.git(&["-C", "repo", "submodule", "--quiet", "add", &url, "plugins/tag/sub"]);
    scratch.commit("Submodule");
    let repository = scratch.open();
    let tree = repository.tree(&repository.resolve("HEAD").unwrap().revision).unwrap();
    let refused = error(tree.source(&path("plugins/tag")));
    assert!(matches!(&refused, GitError::Submodule { path, .. } if path == "plugins/tag/sub"), "{refused}");
    assert!(matches!(error(tree.list(&path("plugins/tag/sub"))), GitError::Submodule { .. }));
    assert!(matches!(error(tree.read(&path("plugins/tag/sub/inventory.yaml"))), GitError::Submodule { .. }));
}

#[test]
fn lfs_pointers_are_refused() {
    let scratch = Scratch::with_fleet();
    scratch.write("plugins/tag/big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n");
    scratch.commit("LFS");
    let repository = scratch.open();
    let tree = repository.tree(&repository.resolve("HEAD").unwrap().revision).unwrap();
    for refused in [tree.source(&path("plugins/tag")).map(|_| ()), tree.read(&path("plugins/tag/big.bin")).map(|_| ())]
    {
        assert!(matches!(error(refused), GitError::LfsPointer { path, .. } if path == "plugins/tag/big.bin"));
    }
}

#[test]
fn a_partial_clone_says_how_to_get_the_rest() {
    let scratch = Scratch::with_fleet();
    let source = format!("file://{}", scratch.repo().display());
    scratch.git(&["-C", "repo", "config", "uploadpack.allowFilter", "true"]);
    scratch.git(&["clone", "-q", "--filter=blob:none", "--no-checkout", &source, "partial"]);
    let repository = match Repository::open(&scratch.at("partial")) {
        Ok(repository) => repository,
        Err(error) => panic!("{error}"),
    };
    let missing = error(inventory(&repository));
    assert!(matches!(&missing, GitError::Missing { partial: true, path, .. } if path == "inventory.yaml"), "{missing}");
    assert_eq!(missing.hints()[0].to_string(), "type: git fetch --refetch");
}

#[test]
fn sha256_repositories_are_told() {
    let scratch = Scratch::new();
    scratch.git(&["init", "-q", "--object-format=sha256", "new"]);
    let refused = error(Repository::open(&scratch.at("new")).map(|_| ()));
    assert!(matches!(&refused, GitError::Unsupported { why, .. } if why.contains("sha256")), "{refused}");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn another_users_repository_is_refused_with_gits_own_hint() {
    let scratch = Scratch::with_fleet();
    let own = fs::metadata(scratch.repo()).unwrap().uid();
    if own != 0 || safe_everywhere() {
        eprintln!("skipped: another_users_repository needs root, and no safe.directory that allows everything");
        return;
    }
    give_away(&scratch.repo());
    let refused = error(Repository::open(&scratch.repo()).map(|_| ()));
    assert!(matches!(refused, GitError::NotOwned { .. }), "{refused}");
    let hint = refused.hints()[0].to_string();
    assert!(hint.starts_with("type: git config --global --add safe.directory /") && hint.ends_with("/repo"), "{hint}");
}

/// Whether this machine's own configuration switches the check off.
fn safe_everywhere() -> bool {
    let config = git2::Config::open_default().unwrap();
    let mut entries = config.multivar("safe.directory", Some("^[*]$")).unwrap();
    entries.next().is_some()
}

fn give_away(dir: &Path) {
    std::os::unix::fs::chown(dir, Some(65_534), Some(65_534)).unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            give_away(&entry.path());
        }
        std::os::unix::fs::chown(entry.path(), Some(65_534), Some(65_534)).unwrap();
    }
}

#[test]
fn what_the_work_tree_has_otherwise_is_said() {
    let scratch = Scratch::with_fleet();
    scratch.write(".gitignore", "*.log\n");
    scratch.write("elsewhere.txt", "x");
    scratch.commit("More");
    let repository = scratch.open();
    let head = repository.resolve("HEAD").unwrap().revision;
    let paths = [path("inventory.yaml"), path("plugins/tag")];
    assert_eq!(repository.dirty(&head, &paths).unwrap(), [""; 0]);
    scratch.write("inventory.yaml", "version: 2\n");
    scratch.write("plugins/tag/deep/new.lua", "x");
    scratch.write("plugins/tag/x.log", "ignored");
    scratch.write("plugins/tag-two/y.lua", "another source");
    scratch.write("elsewhere.txt", "y");
    fs::remove_file(scratch.repo().join("plugins/tag/handler.lua")).unwrap();
    let expected = ["inventory.yaml", "plugins/tag/deep/new.lua", "plugins/tag/handler.lua"];
    assert_eq!(repository.dirty(&head, &paths).unwrap(), expected);
    scratch.git(&["-C", "repo", "add", "-A"]);
    assert_eq!(repository.dirty(&head, &paths).unwrap(), expected, "staged is not committed");
    assert_eq!(repository.dirty(&head, &[path(".")]).unwrap().len(), 5);
    assert_eq!(repository.dirty(&head, &[]).unwrap(), [""; 0]);
}

#[test]
fn a_path_with_a_star_is_that_path() {
    let scratch = Scratch::with_fleet();
    scratch.write("plugins/t*/x.lua", "x");
    scratch.commit("Star");
    scratch.write("plugins/tag/handler.lua", "changed");
    let repository = scratch.open();
    let head = repository.resolve("HEAD").unwrap().revision;
    assert_eq!(repository.dirty(&head, &[path("plugins/t*")]).unwrap(), [""; 0]);
    assert_eq!(repository.tree(&head).unwrap().list(&path("plugins/t*")).unwrap().len(), 1);
}

#[test]
fn reading_writes_nothing_and_runs_no_hook_or_filter() {
    let scratch = Scratch::with_fleet();
    let ran = scratch.at("ran");
    let command = format!("touch {}", ran.display());
    for key in ["filter.evil.clean", "filter.evil.smudge", "core.fsmonitor", "diff.evil.textconv", "core.sshCommand"] {
        scratch.git(&["-C", "repo", "config", key, &command]);
    }
    scratch.write(".gitattributes", "* filter=evil diff=evil\n");
    scratch.write("plugins/tag/handler.lua", "changed");
    let index = fs::read(scratch.repo().join(".git/index")).unwrap();
    let repository = scratch.open();
    let head = repository.resolve("HEAD").unwrap().revision;
    repository.tree(&head).unwrap().source(&path("plugins/tag")).unwrap();
    assert_eq!(repository.dirty(&head, &[path("plugins/tag")]).unwrap(), ["plugins/tag/handler.lua"]);
    assert!(!ran.exists());
    assert_eq!(fs::read(scratch.repo().join(".git/index")).unwrap(), index);
}
