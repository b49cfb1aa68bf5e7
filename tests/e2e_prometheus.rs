//! A real Prometheus reads the built program: what PromQL answers is what the API says, and the rules that ship load and
//! find nothing wrong with a healthy service.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::kafka::{RealKafka, eventually, free_port};
use support::program::{Files, Program, command, get};

/// Indicators that stand still while nothing happens, by the names of their gauges.
const STILL: &[(&str, &str)] = &[
    ("asa", "atalaya_asa_seconds"),
    ("wait_p50", "atalaya_wait_p50_seconds"),
    ("wait_p99", "atalaya_wait_p99_seconds"),
    ("wait_max", "atalaya_wait_max_seconds"),
    ("arrivals", "atalaya_arrivals"),
    ("queued", "atalaya_queued"),
    ("answered", "atalaya_answered"),
    ("abandoned", "atalaya_abandoned"),
    ("abandonment", "atalaya_abandonment_ratio"),
    ("service_level", "atalaya_service_level_ratio"),
    ("first_response_time", "atalaya_first_response_time_seconds"),
    ("aht", "atalaya_aht_seconds"),
];

struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Scrapes `target` each second, with the rules that ship.
    fn start(files: &Files, target: u16) -> Option<Self> {
        let there = Command::new("prometheus").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            support::skip("prometheus is not on the PATH (Debian's package prometheus)");
            return None;
        }
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/rules/atalaya.yml");
        let port = free_port();
        let config = files.write(
            "prometheus.yml",
            &format!(
                "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
                 rule_files: [\"{}\"]\n\
                 scrape_configs: [{{ job_name: atalaya, static_configs: [{{ targets: [\"127.0.0.1:{target}\"] }}] }}]\n",
                rules.display()
            ),
        );
        let log = std::fs::File::create(files.path("prometheus.log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", files.path("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Some(Prometheus { child, port })
    }

    fn api(&self, path: &str) -> Option<Value> {
        let (status, body) = get(self.port, path, "application/json")?;
        (status == 200).then(|| serde_json::from_str::<Value>(&body).unwrap()["data"].clone())
    }

    /// The samples of an instant query, by their labels without those of the scrape.
    fn query(&self, promql: &str) -> BTreeMap<BTreeMap<String, String>, f64> {
        let encoded: String = promql.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let Some(data) = self.api(&format!("/api/v1/query?query={encoded}")) else { return BTreeMap::new() };
        let sample = |sample: &Value| {
            let labels = sample["metric"].as_object().unwrap().iter();
            let labels = labels.filter(|(name, _)| !["__name__", "job", "instance"].contains(&name.as_str()));
            let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
            (labels, sample["value"][1].as_str().unwrap().parse().unwrap())
        };
        data["result"].as_array().unwrap().iter().map(sample).collect()
    }
}

/// What the API says of an indicator over 24 h, by its labels.
fn said(program: &Program, indicator: &str) -> BTreeMap<BTreeMap<String, String>, f64> {
    let answer = program.api(&format!("/api/v1/indicators?indicator={indicator}&window=24h"));
    let of = |record: &Value| {
        let labels = ["queue", "channel", "window", "threshold", "treatment"].into_iter();
        let labels = labels.filter_map(|name| Some((name.to_owned(), record[name].as_str()?.to_owned()))).collect();
        Some((labels, record["value"].as_f64()?))
    };
    answer["indicators"].as_array().unwrap().iter().filter_map(of).collect()
}

#[test]
fn prometheus_answers_what_the_api_says() {
    let files = Files::new();
    let http = free_port();
    let Some(prometheus) = Prometheus::start(&files, http) else { return };
    let Some(kafka) = RealKafka::start() else { return };
    for topic in ["atalaya.interactions", "atalaya.agent-states"] {
        kafka.create_topic(topic, 2);
    }
    // Two hours that end now.
    let made = command(&["simulate", "--seed", "3", "--curve", "flat", "--duration", "2h", "--scale", "0.5"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let recorded = files.write("floor.ndjson", &String::from_utf8(made.stdout).unwrap());
    let recorded = recorded.display().to_string();
    let sent = command(&["simulate", "--replay", &recorded, "--brokers", &kafka.bootstrap()]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let matrix = "version: 1\nname: voz\nrows:\n  - indicator: waiting\n    goal: \"< 1000\"\n    ranges:\n      \
                  - { when: \"< 1000\", level: ok }\n      - { when: \">= 1000\", level: info }\n";
    files.write("matrices/voz.yaml", matrix);
    let config = files.write(
        "atalaya.yaml",
        &format!("kafka: {{ brokers: [\"{}\"], group: prom }}\nmatrices: [matrices]\n", kafka.bootstrap()),
    );
    let mut program = Program::start_at(&config, &[], http);
    program.wait_until_ready();

    eventually("it is scraped", || prometheus.query("up") == BTreeMap::from([(BTreeMap::new(), 1.0)]));
    let targets = prometheus.api("/api/v1/targets").unwrap();
    let target = &targets["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    eventually("what it scrapes is of a service that is ready", || {
        prometheus.query("atalaya_ready").into_values().collect::<Vec<_>>() == [1.0]
    });

    for (indicator, metric) in STILL {
        let said = said(&program, indicator);
        assert!(!said.is_empty(), "the API knows no {indicator}");
        // A scrape of after the last event is there within seconds.
        let promql = format!("{metric}{{window=\"24h\"}}");
        let differences = || {
            let answer = prometheus.query(&promql);
            let keys: BTreeSet<_> = said.keys().chain(answer.keys()).cloned().collect();
            let both = keys.into_iter().map(|key| (said.get(&key).copied(), answer.get(&key).copied(), key));
            // The two are read from their digits by different parsers, of which one is exact to the last place but one.
            let same = |said: Option<f64>, answer: Option<f64>| {
                said.zip(answer).is_some_and(|(said, answer)| (said - answer).abs() <= said.abs() * 1e-12)
            };
            both.filter(|(said, answer, _)| !same(*said, *answer)).collect::<Vec<_>>()
        };
        let first = format!("{promql} agrees with the API; at first not in {:?}", differences());
        eventually(&first, || differences().is_empty());
    }
    // PromQL can put roll-ups together out of the counters: all that was answered in these two hours, over all.
    let asa = said(&program, "asa").remove(&BTreeMap::from([("window".to_owned(), "24h".to_owned())])).unwrap();
    for (promql, expected) in [
        (
            "atalaya_sum_wait_seconds_total{queue=\"\",channel=\"\"} / atalaya_sum_answered_total{queue=\"\",channel=\"\"}",
            asa,
        ),
        (
            "atalaya_wait_seconds_sum{queue=\"\",channel=\"\"} / atalaya_wait_seconds_count{queue=\"\",channel=\"\"}",
            asa,
        ),
    ] {
        let answer = prometheus.query(promql);
        let value = answer.values().next().unwrap_or_else(|| panic!("nothing answers {promql}"));
        assert_eq!(answer.len(), 1, "{promql}: {answer:?}");
        assert!((value - expected).abs() < 0.001, "{promql} is {value}, not {expected}");
    }
    follows_the_rules(&prometheus);
    assert_eq!(program.terminate().0.code(), Some(0));
}

/// Every rule is evaluated without an error, and a healthy service is not even suspected.
fn follows_the_rules(prometheus: &Prometheus) {
    let rules = || {
        let groups = prometheus.api("/api/v1/rules").unwrap();
        let groups = groups["groups"].as_array().unwrap().clone();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect::<Vec<Value>>()
    };
    eventually("every rule has been evaluated", || {
        let rules = rules();
        rules.len() >= 10 && rules.iter().all(|rule| rule["health"] == "ok")
    });
    let quiet = || rules().iter().all(|rule| rule["state"] == "inactive");
    // While it was not up yet some may have begun to wait.
    eventually("no rule suspects anything", quiet);
    let suspected: BTreeSet<String> =
        rules().iter().filter(|rule| rule["state"] != "inactive").map(|rule| rule["name"].to_string()).collect();
    assert_eq!(suspected, BTreeSet::new());
}

#[test]
fn the_files_that_ship_are_accepted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    for arguments in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "rules/atalaya.yml"],
        &["test", "rules", "rules/atalaya.test.yml"],
    ] {
        let output = Command::new("promtool").args(arguments).current_dir(&folder).output();
        let Ok(output) = output else {
            return support::skip("promtool is not on the PATH (Debian's package prometheus)");
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}");
    }
}
