//! A real mail server for a test: Postfix takes mails by SMTP and puts them into a maildir, from which they are read back.
//!
//! It takes them on three ports: in the clear from anybody, and by STARTTLS or TLS from the start from the user who logs
//! in, whose password is in a database of Cyrus SASL. All that it writes is in a folder of the test. Its programs run as
//! users of its package, so its start needs root; it has process numbers of its own, and all of them end together.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mail_parser::MessageParser;

use super::certificates::certificates;

const POSTFIX: &str = "/usr/sbin/postfix";
const SASLPASSWD: &str = "/usr/sbin/saslpasswd2";
pub const USER: &str = "atalaya@acme.example";
pub const PASSWORD: &str = "contraseña del correo";

/// Ends with everything that it started.
pub struct RealSmtp {
    child: Child,
    /// In the clear, without a user.
    pub port: u16,
    pub starttls: u16,
    /// TLS from the first byte.
    pub implicit: u16,
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

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl RealSmtp {
    /// A server that knows these addresses of acme.example and no other. `None` where it cannot run (said).
    pub fn start(addresses: &[&str]) -> Option<Self> {
        Self::try_start(addresses).map_err(|why| super::skip(&why)).ok()
    }

    fn try_start(addresses: &[&str]) -> Result<Self, String> {
        if !Path::new(POSTFIX).exists() {
            return Err(format!("no {POSTFIX}; install the package postfix"));
        }
        let separate = ["--pid", "--fork", "--kill-child"];
        if !succeeds(Command::new("unshare").args(separate).arg("true")) {
            return Err("no process numbers of its own for postfix; run as root".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let at = folder.path();
        for part in ["", "conf", "conf/sasl", "spool", "data", "mail"] {
            let part = at.join(part);
            fs::create_dir_all(&part)
                .and_then(|()| fs::set_permissions(&part, fs::Permissions::from_mode(0o711)))
                .map_err(|error| error.to_string())?;
        }
        if !certificates(at) {
            return Err("the command openssl cannot make certificates; install the package openssl".to_owned());
        }
        let write = |name: &str, text: String| fs::write(at.join(name), text).map_err(|error| error.to_string());
        write("conf/main.cf", main_cf(at, addresses))?;
        let (port, encrypted) = (super::kafka::free_port(), super::kafka::free_port());
        let (starttls, implicit) = (encrypted, encrypted + 1);
        write("conf/master.cf", master_cf(port, starttls, implicit))?;
        let users = at.join("conf/sasl/users");
        let sasl = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\n";
        write("conf/sasl/smtpd.conf", format!("{sasl}sasldb_path: {}\n", users.display()))?;
        add_user(&users)?;
        let owned = |who: &str, path: &Path| succeeds(Command::new("chown").arg(who).arg(path));
        if !(owned("postfix", &users) && owned("postfix", &at.join("data")) && owned("nobody", &at.join("mail"))) {
            return Err("files cannot be given to the users postfix and nobody; run as root".to_owned());
        }
        let log = fs::File::create(at.join("start")).map_err(|error| error.to_string())?;
        let child = Command::new("unshare")
            .args(separate)
            // Not by itself: it takes another user's rights for a moment, and would then outlive its parent.
            .args(["sh", "-c", &format!("{POSTFIX} -c {}/conf start-fg & wait", at.display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let server = RealSmtp { child, port, starttls, implicit, folder };
        let answers = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        super::kafka::eventually("postfix listens", || answers(port) && answers(starttls) && answers(implicit));
        Ok(server)
    }

    /// The authority that vouches for the server as `localhost`.
    pub fn ca_file(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    pub fn log(&self) -> String {
        ["start", "log"].map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()).concat()
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(new) = fs::read_dir(self.folder.path().join("mail/box/new")) else { return Vec::new() };
        let files: BTreeSet<PathBuf> = new.flatten().map(|entry| entry.path()).collect();
        files.into_iter().collect()
    }

    pub fn count(&self) -> usize {
        self.files().len()
    }

    /// Every mail delivered so far, in no order.
    pub fn mails(&self) -> Vec<Mail> {
        self.raw().iter().map(|raw| Mail::read(raw)).collect()
    }

    /// The same, as they lie there: with what the server says of how it got them.
    pub fn raw(&self) -> Vec<Vec<u8>> {
        self.files().iter().map(|path| fs::read(path).expect("a mail")).collect()
    }
}

/// Settings of the whole server; see postconf(5).
fn main_cf(at: &Path, addresses: &[&str]) -> String {
    let at = at.display();
    let boxes: Vec<String> = addresses.iter().map(|address| format!("{{ {address} = box/ }}")).collect();
    format!(
        "compatibility_level = 3.6\n\
         queue_directory = {at}/spool\n\
         data_directory = {at}/data\n\
         maillog_file = {at}/log\n\
         maillog_file_prefixes = {at}\n\
         inet_interfaces = loopback-only\n\
         myhostname = mail.acme.example\n\
         mydestination =\n\
         mynetworks =\n\
         alias_maps =\n\
         smtpd_relay_restrictions = reject_unauth_destination\n\
         virtual_mailbox_domains = acme.example\n\
         virtual_mailbox_maps = inline:{{ {} }}\n\
         virtual_mailbox_base = {at}/mail\n\
         virtual_uid_maps = static:65534\n\
         virtual_gid_maps = static:65534\n\
         smtpd_tls_cert_file = {at}/cert.pem\n\
         smtpd_tls_key_file = {at}/key.pem\n\
         smtpd_tls_received_header = yes\n\
         smtpd_sasl_authenticated_header = yes\n\
         smtpd_sasl_local_domain = acme.example\n",
        boxes.join(", ")
    )
}

/// The programs of the server, none of them in a chroot; see master(5).
fn master_cf(port: u16, starttls: u16, implicit: u16) -> String {
    let users = "-o smtpd_sasl_auth_enable=yes -o smtpd_client_restrictions=permit_sasl_authenticated,reject";
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd\n\
         127.0.0.1:{starttls} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {users}\n\
         127.0.0.1:{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {users}\n\
         anvil unix - - n - 1 anvil\n\
         bounce unix - - n - 0 bounce\n\
         cleanup unix n - n - 0 cleanup\n\
         defer unix - - n - 0 bounce\n\
         error unix - - n - - error\n\
         postlog unix-dgram n - n - 1 postlogd\n\
         proxymap unix - - n - - proxymap\n\
         qmgr unix n - n 300 1 qmgr\n\
         retry unix - - n - - error\n\
         rewrite unix - - n - - trivial-rewrite\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         trace unix - - n - 0 bounce\n\
         virtual unix - n n - - virtual\n"
    )
}

/// The one user who may log in.
fn add_user(users: &Path) -> Result<(), String> {
    let (name, domain) = USER.split_once('@').expect("a user of a domain");
    let added = Command::new(SASLPASSWD)
        .args(["-p", "-c", "-u", domain, "-f"])
        .arg(users)
        .arg(name)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .and_then(|mut child| {
            child.stdin.take().map(|mut input| input.write_all(PASSWORD.as_bytes())).transpose()?;
            child.wait()
        });
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{SASLPASSWD} cannot add a user; install the packages sasl2-bin and libsasl2-modules")),
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
