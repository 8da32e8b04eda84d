use super::*;
use crate::name::NodeName;

/// Answers every connection with an error that has its name.
struct Named(&'static str);

#[async_trait]
impl Connect for Named {
    async fn connect(&self, _: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        Err(RemoteError::new(Fault::Other, "connecting", self.0))
    }

    async fn shutdown(&self) {}
}

#[tokio::test]
async fn each_node_is_reached_by_the_transport_of_its_address() {
    let both = ByTransport { ssh: Arc::new(Named("ssh")), local: Arc::new(Named("local")) };
    for (transport, name) in [(Transport::Ssh, "ssh"), (Transport::Local, "local")] {
        let address = NodeAddress {
            node: NodeName::parse("n").unwrap(),
            host: "n".to_owned(),
            user: None,
            port: None,
            privilege: Privilege::None,
            transport,
        };
        let error = both.connect(&address).await.map(|_| ()).unwrap_err();
        assert_eq!(error.found, name);
    }
}

#[test]
fn words_are_lines() {
    for word in [Word::Look, Word::Confirm, Word::Undo] {
        assert!(word.line().ends_with('\n'));
        assert_eq!(word.line().lines().count(), 1);
    }
}

#[test]
fn an_error_of_an_older_journal_has_no_hints() {
    let error: RemoteError = serde_json::from_str(r#"{"fault":"timed-out","doing":"a","found":"b"}"#).unwrap();
    assert_eq!(error, RemoteError::new(Fault::TimedOut, "a", "b"));
}
