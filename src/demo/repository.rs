//! The demo's Git repository: plugins and an inventory, in two commits.

use std::path::Path;

use git2::{IndexAddOption, Repository, Signature};

/// A file of the repository: path and content.
pub(super) type File<'a> = (&'a str, String);

/// A repository with one commit of these files on `main`.
pub(super) fn create(dir: &Path) -> Result<Repository, git2::Error> {
    let mut options = git2::RepositoryInitOptions::new();
    options.initial_head("main").external_template(false);
    Repository::init_opts(dir, &options)
}

/// Writes these files, takes away those in `gone`, and commits all that, with a tag if one is given.
pub(super) fn commit(
    repository: &Repository,
    files: &[File<'_>],
    gone: &[&str],
    message: &str,
    tag: Option<&str>,
) -> Result<(), super::DemoError> {
    let top = repository.workdir().unwrap_or_else(|| repository.path());
    for (path, content) in files {
        let path = top.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, content)?;
    }
    let mut index = repository.index()?;
    for path in gone {
        std::fs::remove_file(top.join(path))?;
        index.remove_path(Path::new(path))?;
    }
    index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let who = Signature::now("muster demo", "demo@localhost")?;
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    let id = repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents)?;
    if let Some(tag) = tag {
        repository.tag_lightweight(tag, &repository.find_object(id, None)?, false)?;
    }
    Ok(())
}
