//! The page and its files, embedded: no build step, and nothing from anywhere else.
//!
//! The names of the style sheet and the scripts hold a hash of their content, so that a browser keeps them for a year
//! and still never runs an old script against a new service; the page itself is asked for anew each time.

use std::collections::BTreeMap;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::xxh3_64;

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page asks for: name, ending, type and text.
const FILES: [(&str, &str, &str, &str); 4] = [
    ("board", "css", STYLE, include_str!("page/board.css")),
    ("words", "js", SCRIPT, include_str!("page/words.js")),
    ("desk", "js", SCRIPT, include_str!("page/desk.js")),
    ("board", "js", SCRIPT, include_str!("page/board.js")),
];

/// No script, style, image or connection but this server's own. An image may be a `data:` URL: the icon shows the
/// worst level.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// In the demo the page also shows mails in a frame without scripts. A frame of that kind inherits this policy, and
/// mails carry their style in the elements.
const DEMO_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; \
                           form-action 'none'; frame-ancestors 'none'";

/// The page with the names of its files filled in.
pub struct Assets {
    page: String,
    /// By the name that the page asks for: type and text.
    files: BTreeMap<String, (&'static str, &'static str)>,
    policy: &'static str,
}

impl Assets {
    pub fn new(demo: bool) -> Self {
        let mut page = PAGE.to_owned();
        let mut files = BTreeMap::new();
        for (name, ending, kind, text) in FILES {
            let hashed = format!("{name}-{:016x}.{ending}", xxh3_64(text.as_bytes()));
            page = page.replace(&format!("{name}.{ending}"), &hashed);
            files.insert(hashed, (kind, text));
        }
        Assets { page, files, policy: if demo { DEMO_POLICY } else { POLICY } }
    }

    pub fn page(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, self.policy),
        ];
        (headers, self.page.clone()).into_response()
    }

    /// The style sheet or a script, by the name that the page asks for.
    pub fn file(&self, name: &str) -> Option<Response> {
        let (kind, text) = *self.files.get(name)?;
        let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
        Some((headers, text).into_response())
    }
}
