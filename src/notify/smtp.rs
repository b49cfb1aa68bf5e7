//! One mail over SMTP: each step under its own deadline, TLS as the configuration states it.
//!
//! lettre speaks the protocol; its pool is not used. A pooled connection whose sender was cut off in the middle of a
//! command goes back to that pool, and the next mail would read the answers meant for the last. Here a connection is
//! kept only after a transaction that ended well, and one that the server closed meanwhile is replaced at once.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::{self, SmtpTls};

use super::NotifyError;
use super::lane::{At, Failure, Retry};

/// Connections at once: below what mail servers commonly allow one client.
const CONNECTIONS: usize = 16;
/// Idle connections kept, and for how long: shorter than servers wait.
const IDLE: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(20);
/// How long a polite goodbye may take.
const QUIT: Duration = Duration::from_secs(1);

pub struct Smtp {
    name: String,
    host: String,
    port: u16,
    mode: SmtpTls,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
    step: Duration,
    at_once: Semaphore,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

/// What went wrong at a step: the step took too long, or lettre's own error.
enum Trouble {
    Slow,
    Smtp(Error),
}

impl Smtp {
    pub fn new(smtp: &config::Smtp, step: Duration) -> Result<Self, NotifyError> {
        let tls = match smtp.tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Implicit => Some(tls(smtp)?),
        };
        let credentials = match (&smtp.user, &smtp.password) {
            (Some(user), Some(password)) => Some(Credentials::new(user.clone(), password.expose().to_owned())),
            (None, None) => None,
            _ => return Err(NotifyError::Credentials),
        };
        Ok(Smtp {
            name: format!("smtp {}:{}", smtp.host, smtp.port),
            host: smtp.host.clone(),
            port: smtp.port,
            mode: smtp.tls,
            tls,
            credentials,
            hello: ClientId::default(),
            step,
            at_once: Semaphore::new(CONNECTIONS),
            idle: Mutex::default(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// One attempt; a kept connection that turns out to be dead is replaced by a fresh one within it.
    pub async fn send(&self, from: &Address, to: &Address, mail: &[u8]) -> Result<(), Failure> {
        // The semaphore is never closed; were it, an attempt would go on without a permit.
        let _permit = self.at_once.acquire().await.ok();
        if let Some(kept) = self.kept() {
            match self.transact(kept, from, to, mail).await {
                Err((trouble, ..)) if trouble.is_dead_connection() => {}
                result => return result.map_err(|(trouble, doing, at)| self.explain(trouble, doing, at)),
            }
        }
        let fresh = self.connect().await.map_err(|(trouble, doing)| self.explain(trouble, doing, At::Server))?;
        self.transact(fresh, from, to, mail).await.map_err(|(trouble, doing, at)| self.explain(trouble, doing, at))
    }

    fn kept(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE_FOR);
        idle.pop().map(|(connection, _)| connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, (Trouble, &'static str)> {
        let implicit = self.tls.clone().filter(|_| self.mode == SmtpTls::Implicit);
        let server = (self.host.as_str(), self.port);
        let opening = AsyncSmtpConnection::connect_tokio1(server, Some(self.step), &self.hello, implicit, None);
        let mut connection = self.within(opening).await.map_err(|trouble| (trouble, "connecting"))?;
        if let (SmtpTls::Starttls, Some(tls)) = (self.mode, &self.tls) {
            let upgrade = connection.starttls(tls.clone(), &self.hello);
            self.within(upgrade).await.map_err(|trouble| (trouble, "starting TLS"))?;
        }
        if let Some(credentials) = &self.credentials {
            let auth = connection.auth(DEFAULT_MECHANISMS, credentials);
            self.within(auth).await.map_err(|trouble| (trouble, "logging in"))?;
        }
        Ok(connection)
    }

    /// One transaction. The connection is kept if it ended well, and otherwise given up.
    async fn transact(
        &self,
        mut connection: AsyncSmtpConnection,
        from: &Address,
        to: &Address,
        mail: &[u8],
    ) -> Result<(), (Trouble, &'static str, At)> {
        let result = self.steps(&mut connection, from, to, mail).await;
        match &result {
            Ok(()) => {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < IDLE {
                    idle.push((connection, Instant::now()));
                }
            }
            // The server answered, so it still listens: say goodbye. In all other cases the socket is just closed.
            Err((Trouble::Smtp(error), ..)) if error.status().is_some() => {
                let _ = tokio::time::timeout(QUIT, connection.quit()).await;
            }
            Err(_) => {}
        }
        result
    }

    async fn steps(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: &Address,
        to: &Address,
        mail: &[u8],
    ) -> Result<(), (Trouble, &'static str, At)> {
        let international = ![from, to].iter().all(|address| {
            let text: &str = (*address).as_ref();
            text.is_ascii()
        });
        let mut parameters = Vec::new();
        if international && connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let step = connection.command(Mail::new(Some(from.clone()), parameters));
        self.within(step).await.map_err(|trouble| (trouble, "naming the sender", At::Server))?;
        let step = connection.command(Rcpt::new(to.clone(), Vec::new()));
        self.within(step).await.map_err(|trouble| (trouble, "naming the recipient", At::Destination))?;
        let step = connection.command(Data);
        self.within(step).await.map_err(|trouble| (trouble, "beginning the mail", At::Server))?;
        let step = connection.message(mail);
        self.within(step).await.map_err(|trouble| (trouble, "handing over the mail", At::Destination))?;
        Ok(())
    }

    async fn within<T>(&self, step: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
        match tokio::time::timeout(self.step, step).await {
            Ok(result) => result.map_err(Trouble::Smtp),
            Err(_) => Err(Trouble::Slow),
        }
    }

    /// What, where, what to do; and whether it is worth another try.
    fn explain(&self, trouble: Trouble, doing: &str, at: At) -> Failure {
        let name = &self.name;
        let error = match trouble {
            Trouble::Slow => {
                let why = format!(
                    "{name} did not answer within {} s while {doing}; check that the server is up and that nothing on \
                     the way swallows the connection",
                    self.step.as_secs_f64()
                );
                return Failure { why, retry: Retry::Later, at: At::Server };
            }
            Trouble::Smtp(error) => error,
        };
        let text = crate::notice::clean(&error.to_string(), 300, false);
        if let Some(status) = error.status() {
            let retry = if error.is_permanent() { Retry::Never } else { Retry::Later };
            let hint = match (doing, retry) {
                (_, Retry::Later) => "",
                ("logging in", _) => "; check smtp.user and its password",
                ("naming the sender", _) => "; check smtp.from and whether the server lets this sender in",
                ("naming the recipient", _) => "; check the contact's address",
                _ => "; ask who runs the server",
            };
            let detail = text.split_once(": ").map_or("", |(_, detail)| detail);
            return Failure { why: format!("{name} refuses while {doing}: {status} {detail}{hint}"), retry, at };
        }
        let hint = if text.contains("certificate") {
            "name the authority that signed it as smtp.ca_file, or give the server's name as it stands in its certificate"
        } else if text.contains("STARTTLS") {
            "the configuration asks for tls: starttls; state `implicit` or `none` if that is what the server speaks"
        } else if error.is_tls() || text.contains("InvalidContentType") {
            "check that smtp.tls (starttls, implicit or none) is what this port speaks"
        } else if text.contains("authentication mechanism") {
            "the server offers no login; state the right smtp.tls, or leave user and password out"
        } else if text.contains("lookup") || text.contains("resolve") {
            "check the host in smtp.url"
        } else {
            "check that the server is up and that smtp.url names its host and port"
        };
        Failure { why: format!("{name} failed while {doing}: {text}; {hint}"), retry: Retry::Later, at: At::Server }
    }
}

impl Trouble {
    /// On a connection that had been kept: the server closed it meanwhile, or says that it does (421).
    fn is_dead_connection(&self) -> bool {
        match self {
            Trouble::Slow => true,
            Trouble::Smtp(error) => error.status().is_none_or(|code| code.to_string() == "421"),
        }
    }
}

impl Failure {
    pub(super) fn never(why: &str) -> Self {
        Failure { why: why.to_owned(), retry: Retry::Never, at: At::Destination }
    }
}

fn tls(smtp: &config::Smtp) -> Result<TlsParameters, NotifyError> {
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if let Some(path) = &smtp.ca_file {
        let bad = |why: String| NotifyError::CaFile { path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| bad(error.to_string()))?;
        if !pem.windows(11).any(|window| window == b"CERTIFICATE") {
            return Err(bad("it holds no certificate".to_owned()));
        }
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| NotifyError::Tls { host: smtp.host.clone(), why: error.to_string() })
}
