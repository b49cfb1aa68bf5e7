//! Standard Webhooks: how a webhook is signed, so that its receiver can tell it from a forged one.
//!
//! The signature covers id, timestamp and body, each exactly as sent. See <https://www.standardwebhooks.com>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::config::Secret;

/// The key of a webhook, out of `whsec_` + base64. Never printed.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// `None` where the secret is not of that form.
    pub fn new(secret: &Secret) -> Option<Self> {
        let text = secret.expose().trim().strip_prefix("whsec_")?;
        STANDARD.decode(text).ok().filter(|key| !key.is_empty()).map(Key)
    }

    /// The value of `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp_seconds: i64, body: &str) -> Option<String> {
        // HMAC takes a key of any length, so this never fails; it is still not a reason to panic.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{timestamp_seconds}.").as_bytes());
        mac.update(body.as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the reference implementations of Standard Webhooks are tested with.
    #[test]
    fn the_published_vector_is_met() {
        let key = Key::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")).unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}").unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn other_secrets_are_refused() {
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_???"] {
            assert!(Key::new(&Secret::new(bad)).is_none(), "{bad}");
        }
    }
}
