//! The receiving side of webhooks: takes any POST, and says whether its signature is right.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde::Serialize;
use tokio::net::TcpListener;

use super::{Received, ReceivedHook, Shelf};
use crate::config::Secret;
use crate::notify::signature::Key;

const BODY_MAX: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signed {
    Valid,
    Invalid,
    /// Without a signature, or without a secret here to check it with.
    Unchecked,
}

pub async fn serve(listener: TcpListener, shelf: Arc<Shelf>, secret: Option<Secret>) {
    let key = secret.as_ref().and_then(Key::new);
    let take = move |method: Method, uri: Uri, headers: HeaderMap, body: String| {
        let (shelf, key) = (shelf.clone(), key.clone());
        async move {
            if method != Method::POST {
                return StatusCode::METHOD_NOT_ALLOWED;
            }
            shelf.put(Received::Webhook(Box::new(received(&uri, &headers, &body, key.as_ref()))));
            StatusCode::NO_CONTENT
        }
    };
    let router = Router::new().fallback(take).layer(DefaultBodyLimit::max(BODY_MAX));
    // It ends with the task; an error of one connection does not end it.
    let _ = axum::serve(listener, router).await;
}

fn received(uri: &Uri, headers: &HeaderMap, body: &str, key: Option<&Key>) -> ReceivedHook {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let expected = key.and_then(|key| {
        let seconds = timestamp.as_deref().unwrap_or("").parse().ok()?;
        key.sign(id.as_deref().unwrap_or(""), seconds, body)
    });
    let signature = match (header("webhook-signature"), key) {
        (None, _) | (_, None) => Signed::Unchecked,
        // A header may hold several signatures, one of which must be right.
        (Some(given), Some(_)) if given.split(' ').any(|one| Some(one) == expected.as_deref()) => Signed::Valid,
        (Some(_), Some(_)) => Signed::Invalid,
    };
    ReceivedHook {
        number: 0,
        received: crate::clock::now(),
        path: uri.path().to_owned(),
        webhook_id: id,
        webhook_timestamp: timestamp,
        signature,
        body: serde_json::from_str(body).unwrap_or_else(|_| serde_json::Value::from(body)),
    }
}
