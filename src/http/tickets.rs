//! What lets somebody acknowledge out of a mail: a short code of the incident, and a signed link that ends.
//!
//! Both are keyed hashes (HMAC-SHA256), so there is no table of them that could be lost or could grow. A code is found
//! again by computing those of the open cases. A link holds what it is about, for whom and until when, and a signature
//! over all three.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use rustls::crypto::ring;
use sha2::Sha256;

use crate::config::Secret;
use crate::domain::{Millis, Timestamp};
use crate::notice::Acknowledging;

/// How long a link can be followed.
pub const LINK_LASTS: Millis = Millis::DAY;

/// What people read and type: no letter that looks like a digit.
pub const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Makes codes and links, and knows them again.
pub struct Tickets {
    key: Vec<u8>,
    public_url: Option<String>,
}

/// There was no randomness to be had for a secret.
#[derive(Debug, thiserror::Error)]
#[error(
    "the system gives no random bytes for the secret of links; write one to a file and name it as http.secret_file"
)]
pub struct NoRandomness;

impl Tickets {
    /// Without a secret it makes one, which ends with the process, and its links and codes with it.
    pub fn new(secret: Option<&Secret>, public_url: Option<String>) -> Result<Self, NoRandomness> {
        let mut key = vec![0; 32];
        match secret {
            Some(secret) => key = secret.expose().as_bytes().to_vec(),
            None => ring::default_provider().secure_random.fill(&mut key).map_err(|_| NoRandomness)?,
        }
        Ok(Tickets { key, public_url })
    }

    pub fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// HMAC takes a key of any length, so there always is one.
    fn mac(&self, what: &str, parts: &[&str]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(what.as_bytes());
        for part in parts {
            // With its length, so that no two lists of parts are one text.
            mac.update(format!("\n{}:{part}", part.len()).as_bytes());
        }
        Some(mac)
    }

    fn link_mac(&self, incident: &str, by: &str, until: i64) -> Option<Hmac<Sha256>> {
        self.mac("link", &[incident, by, &until.to_string()])
    }

    /// Whether this is the code of that incident; case, blanks and dashes do not count, `O` is zero and `I`, `L` one.
    pub fn is_code(&self, typed: &str, incident: &str) -> bool {
        let typed = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        });
        typed.eq(self.code(incident).chars())
    }

    /// Whether a link with these values was made here.
    pub fn is_signed(&self, incident: &str, by: &str, until: i64, signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.link_mac(incident, by, until).is_some_and(|mac| mac.verify_slice(&signature).is_ok())
    }
}

impl Acknowledging for Tickets {
    fn code(&self, incident: &str) -> String {
        let hash = self.mac("code", &[incident]).map(|mac| mac.finalize().into_bytes());
        let digit = |byte: u8| ALPHABET.get(usize::from(byte % 32)).copied().map_or('0', char::from);
        hash.iter().flatten().take(8).map(|byte| digit(*byte)).collect()
    }

    fn link(&self, incident: &str, contact: &str, now: Timestamp) -> Option<String> {
        let until = (now + LINK_LASTS).0.div_euclid(1000);
        let signature = self.link_mac(incident, contact, until)?.finalize().into_bytes();
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let until = until.to_string();
        let values = [("incident", incident), ("by", contact), ("until", &until), ("sig", &signature)];
        let address = format!("{}/ack", self.public_url.as_deref()?);
        reqwest::Url::parse_with_params(&address, values).ok().map(String::from)
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(secret: &str) -> Tickets {
        Tickets::new(Some(&Secret::new(secret)), Some("https://atalaya.acme.example/wfm".to_owned())).unwrap()
    }

    #[test]
    fn a_code_is_the_same_after_a_restart_and_forgives_how_it_is_typed() {
        let code = tickets("one").code("care-1");
        assert_eq!((code.len(), &code), (8, &tickets("one").code("care-1")));
        assert!(code.bytes().all(|byte| ALPHABET.contains(&byte)), "{code}");
        assert_ne!(code, tickets("one").code("care-2"));
        assert_ne!(code, tickets("two").code("care-1"));
        let (head, tail) = code.split_at(4);
        let typed = format!(" {}-{tail} ", head.to_lowercase()).replace('0', "o").replace('1', "l");
        assert!(tickets("one").is_code(&typed, "care-1"), "{typed} is {code}");
        assert!(!tickets("one").is_code(&code, "care-2") && !tickets("one").is_code("", "care-1"));
    }

    #[test]
    fn a_link_is_signed_whole() {
        let link = tickets("one").link("care·1&x", "lead", Timestamp(1_000)).unwrap();
        let url = reqwest::Url::parse(&link).unwrap();
        assert_eq!(url.path(), "/wfm/ack");
        let values: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        assert_eq!(values[..3], ["care·1&x", "lead", "86401"]);
        let signed = |incident, by, until, sig| tickets("one").is_signed(incident, by, until, sig);
        let sig = values[3].as_str();
        assert!(signed("care·1&x", "lead", 86_401, sig));
        assert!(!tickets("two").is_signed("care·1&x", "lead", 86_401, sig));
        for (incident, by, until) in
            [("care", "lead", 86_401), ("care·1&x", "boss", 86_401), ("care·1&x", "lead", 86_402)]
        {
            assert!(!signed(incident, by, until, sig), "{incident} {by} {until}");
        }
        assert!(!signed("care·1&x", "lead", 86_401, "") && !signed("care·1&x", "lead", 86_401, "?"));
    }

    #[test]
    fn without_a_secret_each_process_has_its_own() {
        let made = || Tickets::new(None, None).unwrap();
        assert_ne!(made().code("care-1"), made().code("care-1"));
        assert_eq!(made().link("care-1", "lead", Timestamp(0)), None, "without an address there are no links");
    }
}
