//! Bringing a bundle into its release directory: harmless, as nothing loads it yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::action::Deliver;
use crate::name::{BundlePath, Digest};
use crate::remote::{Call, Remote, Script};
use crate::run::{Outcome, StepEnd, StepPhase};
use crate::wire::{ArgError, Args, Status};

use super::cause::cause;
use super::{Lease, Site, Watch, call};

/// How long unpacking may take.
const DEADLINE: Duration = Duration::from_mins(5);

/// The content of a bundle, ready to ship.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The archive (`tar.gz`).
    pub bytes: Vec<u8>,
    /// Its files with their digests.
    pub files: BTreeMap<BundlePath, Digest>,
}

/// Where the content of bundles comes from.
pub trait Cargo: Send + Sync {
    /// The bundle of this digest; `None` if it is not at hand.
    fn parcel(&self, digest: &Digest) -> Option<Arc<Parcel>>;
}

impl Cargo for BTreeMap<Digest, Arc<Parcel>> {
    fn parcel(&self, digest: &Digest) -> Option<Arc<Parcel>> {
        self.get(digest).cloned()
    }
}

fn arguments(site: &Site, lease: &Lease<'_>, step: u32, deliver: &Deliver, parcel: &Parcel) -> Result<Args, ArgError> {
    let files = parcel.files.iter().map(|(path, digest)| format!("{digest} {path}"));
    lease
        .arguments(Args::new(), step)?
        .with("home", site.home.as_str())?
        .with("prefix", site.prefix.as_str())?
        .with("bundle", deliver.bundle.as_str())?
        .with("digest", deliver.digest.as_str())?
        .with("seconds", (DEADLINE.as_secs() - 10).to_string())?
        .with_list("file", files)
}

/// Delivers. A lost connection leaves nothing but a directory that the next delivery looks at again.
pub(crate) async fn perform(
    remote: &dyn Remote,
    site: &Site,
    lease: &Lease<'_>,
    step: u32,
    deliver: &Deliver,
    cargo: &dyn Cargo,
    watch: &dyn Watch,
) -> StepEnd {
    let Some(parcel) = cargo.parcel(&deliver.digest) else {
        let text = format!("the content of {} ({}) is not at hand", deliver.bundle, deliver.digest.short());
        return StepEnd::Failed { cause: cause("no-content", text) };
    };
    let args = match arguments(site, lease, step, deliver, &parcel) {
        Ok(args) => args,
        Err(error) => return StepEnd::Failed { cause: cause("not-sent", error.to_string()) },
    };
    let kib = parcel.bytes.len().div_ceil(1024);
    watch.phase(StepPhase::Deliver, format!("{} ({}), {kib} KiB", deliver.bundle, deliver.digest.short()));
    let call = Call { script: Script::Deliver, args, payload: Some(parcel.bytes.clone()), deadline: DEADLINE };
    let told = match call::to_the_end(remote, call).await {
        Ok(told) => told,
        Err(cause) => return StepEnd::Unknown { cause },
    };
    if let Some(attic) = told.find("replaced").and_then(|record| record.text(0)) {
        watch.printed(format!(
            "{}: the release was damaged and is replaced; what was there is now {attic}",
            deliver.bundle
        ));
    }
    match told.status {
        Status::Changed => StepEnd::Done { outcome: Outcome::Changed },
        Status::Unchanged => StepEnd::Done { outcome: Outcome::Unchanged },
        _ => StepEnd::Failed { cause: told.cause("delivering", &site.address.node) },
    }
}
