//! A real Alertmanager on a port of its own.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::kafka::{eventually, free_port};
use super::program::{Files, get};

pub struct Alertmanager {
    child: Child,
    pub port: u16,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Alertmanager {
    /// Groups by name and queue, and tells `receiver` at once.
    pub fn start(files: &Files, receiver: u16) -> Option<Self> {
        let runs = |name: &&str| {
            let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        };
        let Some(program) = ["prometheus-alertmanager", "alertmanager"].into_iter().find(|name| runs(name)) else {
            super::skip("alertmanager is not on the PATH (Debian's package prometheus-alertmanager)");
            return None;
        };
        let config = files.write(
            "alertmanager.yml",
            &format!(
                "route: {{ receiver: out, group_by: [alertname, queue], group_wait: 1s, group_interval: 1s }}\n\
                 receivers: [{{ name: out, webhook_configs: [{{ url: \"http://127.0.0.1:{receiver}/\" }}] }}]\n"
            ),
        );
        let port = free_port();
        let log = std::fs::File::create(files.path("alertmanager.log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", files.path("alerts").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let alertmanager = Alertmanager { child, port };
        eventually("alertmanager answers", || get(port, "/-/ready", "*/*").is_some_and(|(status, _)| status == 200));
        Some(alertmanager)
    }

    pub fn api(&self, path: &str) -> Value {
        let (status, body) = get(self.port, &format!("/api/v2/{path}"), "application/json").expect("an answer");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Channel and severity of every alert that fires.
    pub fn firing(&self) -> BTreeSet<(String, String)> {
        let label = |alert: &Value, name: &str| alert["labels"][name].as_str().unwrap_or("").to_owned();
        let alerts = self.api("alerts");
        alerts.as_array().unwrap().iter().map(|alert| (label(alert, "channel"), label(alert, "severity"))).collect()
    }
}
