//! Connections that are kept between looking, applying and looking again. The fleet owns one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::name::NodeName;
use crate::perform::Reach;
use crate::remote::{Connect, NodeAddress, Remote, RemoteError};

type Held = Arc<tokio::sync::Mutex<Option<(NodeAddress, Arc<dyn Remote>)>>>;

/// Connections by node. Asking twice for a node gives the same connection; one that died is opened anew, and so is one
/// whose address in the inventory has changed.
pub struct Pool {
    connect: Arc<dyn Connect>,
    held: Mutex<HashMap<NodeName, Held>>,
}

impl Pool {
    /// An empty pool over this way to connect.
    pub fn new(connect: Arc<dyn Connect>) -> Self {
        Self { connect, held: Mutex::default() }
    }

    /// Closes every connection and what the transport keeps beside them.
    pub async fn close(&self) {
        let all: Vec<Held> = self.lock().drain().map(|(_, held)| held).collect();
        let closing = all.into_iter().map(|held| async move {
            if let Some((_, remote)) = held.lock().await.take() {
                remote.close().await;
            }
        });
        futures_util::future::join_all(closing).await;
        self.connect.shutdown().await;
    }

    /// How many nodes have a place in the pool, connected or not.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no node has.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<NodeName, Held>> {
        // The map is whole after every statement, so a panic elsewhere does not spoil it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, node: &NodeName) -> Held {
        self.lock().entry(node.clone()).or_default().clone()
    }
}

#[async_trait]
impl Reach for Pool {
    async fn reach(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        let held = self.held(&address.node);
        // Held while connecting, so that two who ask at once share one login.
        let mut held = held.lock().await;
        if let Some((known, remote)) = &*held
            && known == address
            && remote.alive().await
        {
            return Ok(remote.clone());
        }
        if let Some((_, dead)) = held.take() {
            dead.close().await;
        }
        let remote = self.connect.connect(address).await?;
        *held = Some((address.clone(), remote.clone()));
        Ok(remote)
    }

    async fn forget(&self, node: &NodeName) {
        let held = self.lock().remove(node);
        if let Some(held) = held
            && let Some((_, remote)) = held.lock().await.take()
        {
            remote.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perform::scripted::{self, Scripted};

    #[tokio::test]
    async fn a_connection_is_kept_until_it_dies_or_its_address_changes() {
        let scripted = Scripted::default();
        let pool = Pool::new(Arc::new(scripted.clone()));
        let mut address = scripted::address("eu-1");
        pool.reach(&address).await.unwrap();
        pool.reach(&address).await.unwrap();
        assert_eq!(scripted.connects(), 1);
        scripted.die();
        pool.reach(&address).await.unwrap();
        assert_eq!(scripted.connects(), 2);
        address.port = Some(2222);
        pool.reach(&address).await.unwrap();
        assert_eq!(scripted.connects(), 3);
        pool.forget(&address.node).await;
        assert!(pool.is_empty());
        pool.reach(&address).await.unwrap();
        assert_eq!((scripted.connects(), pool.len()), (4, 1));
        pool.close().await;
        assert_eq!(scripted.closed(), 4);
    }

    #[tokio::test]
    async fn two_who_ask_at_once_share_one_login() {
        let scripted = Scripted::default();
        let pool = Pool::new(Arc::new(scripted.clone()));
        let address = scripted::address("eu-1");
        let (one, two) = tokio::join!(pool.reach(&address), pool.reach(&address));
        assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
        assert_eq!(scripted.connects(), 1);
    }
}
