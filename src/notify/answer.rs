//! What a webhook's receiver answered: whether it is a success, whether to try again and when, and its words.

use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::lane::{At, Failure, Retry};
use super::resolver::Forbidden;

/// What of the receiver's words is quoted.
const WORDS_MAX: usize = 300;
/// A receiver cannot ask for a longer pause than this.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// Whether it is a success; if not, what, where, what to do. `secrets` are what no message may repeat.
    pub fn judge(&self, place: &str, url: &Url, secrets: &[String]) -> Result<(), Failure> {
        let status = self.status;
        if status.is_success() {
            return Ok(());
        }
        let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let retry = match self.pause() {
            _ if !later => Retry::Never,
            Some(pause) => Retry::After(pause),
            None => Retry::Later,
        };
        let hint = if status.is_redirection() {
            let to = self.headers.get(LOCATION).and_then(|to| url.join(to.to_str().ok()?).ok());
            let to = to.map_or_else(String::new, |to| format!(" to {}", to.origin().ascii_serialization()));
            format!("{to}; redirects are not followed: set its url to the final address")
        } else if later || (status == StatusCode::BAD_REQUEST && !self.body.trim().is_empty()) {
            // Whoever found fault with the request says with what.
            self.words(secrets)
        } else if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            format!("{}; check its secret", self.words(secrets))
        } else {
            format!("{}; check its url", self.words(secrets))
        };
        Err(Failure { why: format!("{place} answers {status}{hint}"), retry, at: At::Destination })
    }

    /// `Retry-After`: seconds, or a date. Telegram says it in the body.
    fn pause(&self) -> Option<Duration> {
        let Some(header) = self.headers.get(RETRY_AFTER) else {
            let body: Value = serde_json::from_str(&self.body).ok()?;
            let seconds = body.pointer("/parameters/retry_after")?.as_u64()?;
            return Some(Duration::from_secs(seconds).min(PAUSE_MAX));
        };
        let text = header.to_str().ok()?.trim();
        let pause = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
                Duration::from_millis(u64::try_from(at - crate::clock::now().0).unwrap_or(0))
            }
        };
        Some(pause.min(PAUSE_MAX))
    }

    /// The receiver's words, as they may be shown.
    fn words(&self, secrets: &[String]) -> String {
        let mut text = self.body.clone();
        for secret in secrets {
            text = text.replace(secret, "[secret]");
        }
        let text = crate::notice::clean(without_credentials(&text).trim(), WORDS_MAX, false);
        if text.is_empty() { text } else { format!(": {text}") }
    }
}

/// A text without what follows `Basic` and `Bearer`: how a proxy that shows a request shows its password.
fn without_credentials(text: &str) -> String {
    let mut after = false;
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let bare = word.trim_end();
        let hidden = std::mem::replace(&mut after, ["basic", "bearer"].contains(&bare.to_ascii_lowercase().as_str()));
        if hidden && !bare.is_empty() { word.replace(bare, "[secret]") } else { word.to_owned() }
    });
    words.collect()
}

/// Why there was no answer. An address that may not be spoken to is not tried again: somebody must say what is meant.
pub fn unreachable(place: &str, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(inner) = cause {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            let why = format!("{place} is not spoken to: {forbidden}");
            return Failure { why, retry: Retry::Never, at: At::Destination };
        }
        cause = inner.source();
    }
    let text = chain(&error);
    let hint = match text.contains("certificate") || text.contains("UnknownIssuer") {
        true => "name the authority that signed it as `ca_file`, or give the name as it stands in its certificate",
        false => "check its url and that it is up",
    };
    let why = format!("{place} cannot be reached: {text}; {hint}");
    Failure { why, retry: Retry::Later, at: At::Destination }
}

/// An error with its causes: reqwest's own text leaves out what matters.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    crate::notice::clean(&text, 300, false)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn answers_are_judged() {
        let url = Url::parse("http://y.example/services/T0K3N").unwrap();
        for (status, retry_after, expected) in [
            (200, None, None),
            (204, None, None),
            (301, None, Some(Retry::Never)),
            (400, None, Some(Retry::Never)),
            (404, Some("5"), Some(Retry::Never)),
            (408, None, Some(Retry::Never)),
            (429, None, Some(Retry::Later)),
            (429, Some("120"), Some(Retry::After(Duration::from_secs(120)))),
            (429, Some("999999999"), Some(Retry::After(PAUSE_MAX))),
            (429, Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Retry::After(Duration::ZERO))),
            (429, Some("soon"), Some(Retry::Later)),
            (500, None, Some(Retry::Later)),
            (503, Some("7"), Some(Retry::After(Duration::from_secs(7)))),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(text) = retry_after {
                headers.insert(RETRY_AFTER, text.parse().unwrap());
            }
            let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: String::new() };
            let result = answer.judge("webhook x at y", &url, &[]);
            assert_eq!(result.err().map(|failure| failure.retry), expected, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn the_receivers_words_are_told_without_secrets() {
        let url = Url::parse("https://hooks.example/services/T0K3N?key=ABCDEF").unwrap();
        let secrets = ["/services/T0K3N".to_owned(), "key=ABCDEF".to_owned()];
        let said = |status: u16, location: Option<&str>, body: &str| {
            let headers = location.map(|to| (LOCATION, HeaderValue::from_str(to).unwrap())).into_iter().collect();
            let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_owned() };
            let failure = answer.judge("webhook x at hooks.example", &url, &secrets).unwrap_err();
            assert!(!failure.why.contains("T0K3N") && !failure.why.contains("ABCDEF"), "{}", failure.why);
            (failure.why, failure.retry)
        };
        let (why, retry) = said(404, None, "no service at /services/T0K3N?key=ABCDEF\r\n");
        assert_eq!(retry, Retry::Never);
        assert_eq!(
            why,
            "webhook x at hooks.example answers 404 Not Found: no service at [secret]?[secret]; check its url"
        );
        let (why, _) = said(407, None, "you said\r\nProxy-Authorization: basic dXNlcjpwYXNz\r\nHost: x");
        assert!(why.contains("Proxy-Authorization: basic [secret] Host: x"), "{why}");
        let (why, _) = said(400, None, r#"{"errors":["Length of 'routing_key' is incorrect"]}"#);
        assert!(
            why.ends_with(r#"answers 400 Bad Request: {"errors":["Length of 'routing_key' is incorrect"]}"#),
            "{why}"
        );
        let (why, retry) = said(302, Some("https://login.example/?next=T0K3N"), "<html>");
        assert_eq!(retry, Retry::Never);
        assert!(why.contains("302 Found to https://login.example; redirects are not followed"), "{why}");
        let (_, retry) = said(429, None, r#"{"ok":false,"parameters":{"retry_after":35}}"#);
        assert_eq!(retry, Retry::After(Duration::from_secs(35)));
    }
}
