//! A real mail server for a test: OpenSMTPD takes mails by SMTP and puts them into a maildir, from which they are read
//! back.
//!
//! Its spool and socket have fixed paths, so it runs in mount and process namespaces of its own, where they are folders
//! of the test; that needs root. It listens without TLS: the version of Debian 12 cannot use its private key with
//! OpenSSL 3.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mail_parser::MessageParser;

const SMTPD: &str = "/usr/sbin/smtpd";

/// Ends with everything that it started.
pub struct RealSmtp {
    child: Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

/// What a test looks at in a mail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub id: String,
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
    pub text: String,
    pub html: String,
}

impl Drop for RealSmtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RealSmtp {
    /// A server that knows these addresses and no other. `None` where it cannot run (said).
    pub fn start(addresses: &[&str]) -> Option<Self> {
        Self::try_start(addresses).map_err(|why| super::skip(&why)).ok()
    }

    fn try_start(addresses: &[&str]) -> Result<Self, String> {
        if !Path::new(SMTPD).exists() {
            return Err(format!("no {SMTPD}; install the package opensmtpd"));
        }
        let separate = ["-m", "-p", "--fork", "--kill-child"];
        let tried = Command::new("unshare").args(separate).arg("true").stderr(Stdio::null()).status();
        if !tried.is_ok_and(|status| status.success()) {
            return Err("no mount and process namespaces of its own for smtpd; run as root".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let at = folder.path();
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o711));
        open(at).map_err(|error| error.to_string())?;
        for part in ["spool", "run", "mail"] {
            fs::create_dir(at.join(part)).and_then(|()| open(&at.join(part))).map_err(|error| error.to_string())?;
        }
        let mail = at.join("mail");
        let owned = Command::new("chown").arg("nobody").arg(&mail).status();
        if !owned.is_ok_and(|status| status.success()) {
            return Err("folders cannot be given to the user nobody; run as root".to_owned());
        }
        let port = super::kafka::free_port();
        let people: Vec<String> = addresses.iter().map(|address| format!("\"{address}\" = \"nobody\"")).collect();
        let settings = format!(
            "table people {{ {} }}\n\
             listen on 127.0.0.1 port {port}\n\
             action \"keep\" maildir \"{}\" virtual <people>\n\
             match from any for any action \"keep\"\n",
            people.join(", "),
            mail.display()
        );
        fs::write(at.join("smtpd.conf"), settings).map_err(|error| error.to_string())?;
        let script = format!(
            "mount --make-rprivate / && mount --bind {0}/spool /var/spool && mount --bind {0}/run /run && \
             exec {SMTPD} -d -F -f {0}/smtpd.conf",
            at.display()
        );
        let log = fs::File::create(at.join("log")).map_err(|error| error.to_string())?;
        let child = Command::new("unshare")
            .args(separate)
            .args(["sh", "-ec", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        Ok(RealSmtp { child, port, folder })
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(new) = fs::read_dir(self.folder.path().join("mail/new")) else { return Vec::new() };
        let files: BTreeSet<PathBuf> = new.flatten().map(|entry| entry.path()).collect();
        files.into_iter().collect()
    }

    pub fn count(&self) -> usize {
        self.files().len()
    }

    /// Every mail delivered so far, in no order.
    pub fn mails(&self) -> Vec<Mail> {
        self.files().iter().map(|path| Mail::read(&fs::read(path).expect("a mail"))).collect()
    }
}

impl Mail {
    fn read(raw: &[u8]) -> Mail {
        let mail = MessageParser::default().parse(raw).expect("a mail that parses");
        let to = mail.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default();
        let list = |header: &mail_parser::HeaderValue<'_>| -> Vec<String> {
            let list = header.as_text_list().unwrap_or_default();
            list.iter().map(|text| text.to_string()).collect()
        };
        Mail {
            to: to.to_owned(),
            subject: mail.subject().unwrap_or_default().to_owned(),
            id: mail.message_id().unwrap_or_default().to_owned(),
            in_reply_to: mail.in_reply_to().as_text().map(str::to_owned),
            references: list(mail.references()),
            text: mail.body_text(0).unwrap_or_default().into_owned(),
            html: mail.body_html(0).unwrap_or_default().into_owned(),
        }
    }
}
