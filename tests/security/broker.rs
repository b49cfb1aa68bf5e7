//! A real broker that asks who comes: SASL over TLS by PLAIN, SCRAM-SHA-512 and OAUTHBEARER, and an authorizer.
//!
//! Its rights are those of `docs/security.md`. A listener without either, for the test itself, is a super user's.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::support::certificates::certificates;
use super::support::kafka::{RealKafka, free_port, script};
use super::support::skip;

pub const USER: &str = "atalaya";
pub const PASSWORD: &str = "la-clave-del-broker-7Q";

/// Users of the PLAIN listener who lack a right each.
pub const NO_GROUP: &str = "no-group";
pub const NO_READ: &str = "no-read";
pub const NO_WRITE: &str = "no-write";
pub const LATE_GROUP: &str = "late-group";
pub const LATE_READ: &str = "late-read";
const USERS: [&str; 6] = [USER, NO_GROUP, NO_READ, NO_WRITE, LATE_GROUP, LATE_READ];

pub struct Secured {
    pub kafka: RealKafka,
    pub plain: u16,
    pub scram: u16,
    pub oauth: u16,
    folder: tempfile::TempDir,
}

static SHARED: Mutex<Weak<Secured>> = Mutex::new(Weak::new());

/// One for all tests that run at the same time; `None` where it cannot run (said).
pub fn secured() -> Option<Arc<Secured>> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = shared.upgrade() {
        return Some(running);
    }
    let started = Arc::new(Secured::start()?);
    *shared = Arc::downgrade(&started);
    Some(started)
}

impl Secured {
    fn start() -> Option<Secured> {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        if !certificates(folder.path()) || !certificates(&other) {
            skip("the command openssl cannot make certificates; install the package openssl");
            return None;
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let store = folder.path().join("broker.pem");
        std::fs::write(&store, read("key.pem") + &read("cert.pem")).unwrap();
        let (plain, oauth) = (free_port(), free_port());
        let scram = plain + 1;
        let kafka = RealKafka::start_with(|port| settings(port, plain, scram, oauth, &store.display().to_string()))?;
        let secured = Secured { kafka, plain, scram, oauth, folder };
        secured.furnish();
        Some(secured)
    }

    /// The authority that signed the broker's certificate.
    pub fn ca_file(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// One of the same name that did not.
    pub fn other_ca_file(&self) -> String {
        self.folder.path().join("other/ca.pem").display().to_string()
    }

    /// The users' passwords and rights.
    fn furnish(&self) {
        let without =
            |lacking: &[&str]| -> Vec<&str> { USERS.into_iter().filter(|user| !lacking.contains(user)).collect() };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let password = format!("SCRAM-SHA-512=[iterations=4096,password={PASSWORD}]");
                let what = ["--alter", "--add-config", &password, "--entity-type", "users", "--entity-name", USER];
                self.tool("kafka.admin.ConfigCommand", &what);
            });
            scope.spawn(|| self.grant(("--topic", "events-"), &["Read"], &without(&[NO_READ, LATE_READ])));
            scope.spawn(|| self.grant(("--group", "secured-"), &["Read"], &without(&[NO_GROUP, LATE_GROUP])));
            scope.spawn(|| self.grant(("--topic", "atalaya."), &["Read", "Write", "Create"], &without(&[NO_WRITE])));
        });
    }

    /// Lets these users do that with every resource whose name begins so.
    pub fn grant(&self, resource: (&str, &str), operations: &[&str], users: &[&str]) {
        let principals: Vec<String> = users.iter().map(|user| format!("User:{user}")).collect();
        let mut what = vec!["--add", "--resource-pattern-type", "prefixed", resource.0, resource.1];
        what.extend(operations.iter().flat_map(|operation| ["--operation", operation]));
        what.extend(principals.iter().flat_map(|principal| ["--allow-principal", principal]));
        self.tool("org.apache.kafka.tools.AclCommand", &what);
    }

    fn tool(&self, class: &str, arguments: &[&str]) {
        let bootstrap = self.kafka.bootstrap();
        let output = script(&[&["tool", class, "--bootstrap-server", &bootstrap], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn settings(port: u16, plain: u16, scram: u16, oauth: u16, store: &str) -> Vec<String> {
    let users = USERS.map(|user| format!("user_{user}=\"{PASSWORD}\"")).join(" ");
    let login = "org.apache.kafka.common.security";
    let controller = port + 1;
    vec![
        format!(
            "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},PLAIN://127.0.0.1:{plain},\
             SCRAM://127.0.0.1:{scram},OAUTH://127.0.0.1:{oauth}"
        ),
        format!(
            "advertised.listeners=PLAINTEXT://127.0.0.1:{port},PLAIN://localhost:{plain},SCRAM://localhost:{scram},\
             OAUTH://localhost:{oauth}"
        ),
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAIN:SASL_SSL,SCRAM:SASL_SSL,\
         OAUTH:SASL_SSL"
            .to_owned(),
        "inter.broker.listener.name=PLAINTEXT".to_owned(),
        "ssl.keystore.type=PEM".to_owned(),
        format!("ssl.keystore.location={store}"),
        "listener.name.plain.sasl.enabled.mechanisms=PLAIN".to_owned(),
        format!("listener.name.plain.plain.sasl.jaas.config={login}.plain.PlainLoginModule required {users};"),
        "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512".to_owned(),
        format!("listener.name.scram.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;"),
        "listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER".to_owned(),
        // The broker's own way to take tokens that nobody signed: for tests alone.
        format!(
            "listener.name.oauth.oauthbearer.sasl.jaas.config={login}.oauthbearer.OAuthBearerLoginModule required \
             unsecuredLoginStringClaim_sub=\"broker\";"
        ),
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
        "super.users=User:ANONYMOUS".to_owned(),
    ]
}
