//! The page and its two files, embedded: no build step, and nothing from anywhere else.
//!
//! The names of the style sheet and the script hold a hash of their content, so that a browser keeps them for a year
//! and still never runs an old script against a new service; the page itself is asked for anew each time.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::xxh3_64;

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/board.css");
const SCRIPT: &str = include_str!("page/board.js");

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
    style_name: String,
    script_name: String,
    policy: &'static str,
}

impl Assets {
    pub fn new(demo: bool) -> Self {
        let style_name = format!("board-{:016x}.css", xxh3_64(STYLE.as_bytes()));
        let script_name = format!("board-{:016x}.js", xxh3_64(SCRIPT.as_bytes()));
        let page = PAGE.replace("board.css", &style_name).replace("board.js", &script_name);
        Assets { page, style_name, script_name, policy: if demo { DEMO_POLICY } else { POLICY } }
    }

    pub fn page(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, self.policy),
        ];
        (headers, self.page.clone()).into_response()
    }

    /// The style sheet or the script, by the name that the page asks for.
    pub fn file(&self, name: &str) -> Option<Response> {
        let (kind, text) = if name == self.style_name {
            ("text/css; charset=utf-8", STYLE)
        } else if name == self.script_name {
            ("text/javascript; charset=utf-8", SCRIPT)
        } else {
            return None;
        };
        let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
        Some((headers, text).into_response())
    }
}
