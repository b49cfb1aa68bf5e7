//! Names to addresses for webhooks, without those that [`is_forbidden`]: at the moment of connecting, so that a name which
//! leads elsewhere than yesterday leads no request to where a machine keeps its secrets. A literal address in a URL is never
//! looked up; it is checked when the settings are taken.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::is_forbidden;

type Found = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;
/// How a name is looked up: the system's way, or a test's.
type LookUp = Arc<dyn Fn(String) -> Found + Send + Sync>;

#[derive(Clone)]
pub struct Guard {
    look_up: LookUp,
    allow_link_local: bool,
}

/// A name has only addresses that may not be spoken to.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} leads to {address}, a link-local or metadata address; write another host, or `allow_link_local: true` if it is meant"
)]
pub struct Forbidden {
    name: String,
    address: std::net::IpAddr,
}

impl Guard {
    pub fn new(allow_link_local: bool) -> Self {
        let look_up = |name: String| -> Found {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        };
        Guard { look_up: Arc::new(look_up), allow_link_local }
    }

    #[cfg(test)]
    pub fn with(look_up: LookUp, allow_link_local: bool) -> Self {
        Guard { look_up, allow_link_local }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, allow) = ((self.look_up)(name.as_str().to_owned()), self.allow_link_local);
        Box::pin(async move {
            let found = found.await?;
            let (bad, good): (Vec<_>, Vec<_>) = found.into_iter().partition(|at| !allow && is_forbidden(at.ip()));
            if let (true, Some(bad)) = (good.is_empty(), bad.first()) {
                let forbidden = Forbidden { name: name.as_str().to_owned(), address: bad.ip() };
                return Err(forbidden.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}
