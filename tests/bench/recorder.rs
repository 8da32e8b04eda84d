//! What muster would send to the nodes of a plan, word for word, without sending it: the floor sends it by plain ssh.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use muster::action::Action;
use muster::bundle::Bundle;
use muster::execute::pool::Pool;
use muster::fleet::Picture;
use muster::name::{Digest, NodeName, RunId};
use muster::perform::{Doors, NodePerformer, Parcel, Perform, Place, RunIdentity, Settings, Watch};
use muster::plan::Plan;
use muster::remote::{
    Call, Connect, Ended, Fault, HttpAnswer, HttpRequest, NodeAddress, Remote, RemoteError, Reply, Running, Script,
    Word,
};
use muster::run::{CancelLevel, StepPhase};
use muster::wire::{Args, Record, Status};

use crate::fleet::Gateways;

/// What is sent to one node, in its order.
pub(crate) type Calls = Vec<(Script, Args, Vec<u8>)>;

type Book = Arc<Mutex<HashMap<NodeName, Calls>>>;

/// The calls of a plan for nodes on which nothing of ours has been.
pub(crate) async fn calls(fleet: &Gateways, picture: &Picture, plan: &Plan, round: u64) -> HashMap<NodeName, Calls> {
    let book = Book::default();
    let pool = Arc::new(Pool::new(Arc::new(Recorder { book: book.clone() })));
    let identity = RunIdentity {
        run: RunId::from_parts(round, 1),
        owner: plan.basis.owner.clone(),
        commit: plan.basis.revision.clone(),
        holder: "bench@localhost".to_owned(),
        ttl: Duration::from_mins(5),
    };
    let cargo: BTreeMap<Digest, Arc<Parcel>> = fleet.bundles().iter().map(|bundle| parcel(bundle)).collect();
    let places = fleet.nodes.iter().map(|gateway| {
        let facts = picture.survey.seen(&gateway.site.address.node).expect("every node was seen");
        let env = facts.env_file.as_ref().map(|env| env.open().bytes());
        let doors = Doors::of(&gateway.site, env, Duration::from_secs(5));
        (gateway.site.address.node.clone(), Place { doors, site: gateway.site.clone() })
    });
    let performer = NodePerformer::new(pool, places.collect(), Arc::new(cargo), identity, Settings::default());
    for gateway in &fleet.nodes {
        let node = &gateway.site.address.node;
        performer.acquire(node).await.expect("the recorder gives every lease");
        for step in plan.steps.iter().filter(|step| step.target.is(node)) {
            performer.perform(step, &Silent).await;
            if matches!(step.action, Action::Activate(_)) {
                performer.release(node).await;
            }
        }
    }
    std::mem::take(&mut *book.lock().expect("nobody panicked"))
}

fn parcel(bundle: &Bundle) -> (Digest, Arc<Parcel>) {
    let files = bundle.files.iter().map(|(path, content)| (path.clone(), content.sha256().clone())).collect();
    (bundle.digest.clone(), Arc::new(Parcel { bytes: bundle.pack(), files }))
}

struct Silent;

impl Watch for Silent {
    fn phase(&self, _: StepPhase, _: String) {}
    fn printed(&self, _: String) {}
    fn proven(&self, _: String) {}
    fn cancelled(&self) -> Option<CancelLevel> {
        None
    }
}

struct Recorder {
    book: Book,
}

struct Page {
    node: NodeName,
    book: Book,
}

#[async_trait]
impl Connect for Recorder {
    async fn connect(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        Ok(Arc::new(Page { node: address.node.clone(), book: self.book.clone() }))
    }

    async fn shutdown(&self) {}
}

#[async_trait]
impl Remote for Page {
    async fn start(&self, call: Call) -> Result<Box<dyn Running>, RemoteError> {
        let Call { script, args, payload, .. } = call;
        let mut book = self.book.lock().expect("nobody panicked");
        book.entry(self.node.clone()).or_default().push((script, args, payload.unwrap_or_default()));
        match script {
            // What it would say is not known; what was sent is all that is wanted.
            Script::Activate => Err(RemoteError::new(Fault::Other, "recording", "nothing is sent")),
            Script::Lease => Ok(Box::new(Canned(Some(lease())))),
            Script::Survey
            | Script::Deliver
            | Script::Rehearse
            | Script::Delete
            | Script::Detail
            | Script::Discover
            | Script::Collect
            | Script::Candidate
            | Script::Admin => Ok(Box::new(Canned(None))),
        }
    }

    async fn http(&self, _: HttpRequest) -> Result<HttpAnswer, RemoteError> {
        Ok(HttpAnswer { status: 200, body: br#"{"database":{"reachable":true}}"#.to_vec() })
    }

    async fn alive(&self) -> bool {
        true
    }

    async fn close(&self) {}
}

/// The first lease of a node.
fn lease() -> Record {
    Record { tag: "lease".to_owned(), fields: ["1", "300", "boot"].map(|field| field.as_bytes().to_vec()).into() }
}

/// A script that says at most one record, and that it changed something.
struct Canned(Option<Record>);

#[async_trait]
impl Running for Canned {
    async fn next(&mut self) -> Option<Reply> {
        self.0.take().map(Reply::Record)
    }

    async fn say(&mut self, _: Word) -> Result<(), RemoteError> {
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Ended {
        Ended::Done(Status::Changed)
    }
}
