//! `/metrics`: both formats, accepted by Prometheus' own tools.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use atalaya::domain::Millis;
use atalaya::matrix::Medium;
use atalaya::telemetry::events::{
    DeadLetters, Delivery, Dropped, Evaluated, EvaluatorRole, NotificationTried, OutboxDepth, Outcome,
    PartitionProgress, PartitionRevoked, RecordRejected, RecordsRead, Reloaded,
};
use atalaya::wire;

use super::client::{get, request};
use super::fixture::{NOW, Server, wall};
use super::tools;

const OPENMETRICS: &str = "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n";

/// Emits one of each event, so that each family has a series.
fn live(server: &Server) {
    let telemetry = &server.telemetry;
    let source = "atalaya.interactions";
    telemetry.emit(RecordsRead { source, outcome: Outcome::Applied, count: 1200 });
    telemetry.emit(RecordsRead { source, outcome: Outcome::Duplicate, count: 3 });
    telemetry.emit(RecordRejected { source, partition: 0, offset: 7, reason: wire::Reason::NotJson });
    telemetry.emit(DeadLetters { written: 1, failed: 1 });
    telemetry.emit(Dropped { limit: "keys", count: 2 });
    for partition in [0, 1] {
        let stream_time = Some(NOW - Millis::seconds(2));
        telemetry.emit(PartitionProgress { source, partition, lag: Some(4), stream_time });
    }
    telemetry.emit(PartitionRevoked { source, partition: 1 });
    telemetry.emit(Evaluated { wall: NOW, watermark: NOW - Millis::SECOND, took: Duration::from_millis(3) });
    telemetry.emit(EvaluatorRole { evaluates: true });
    for delivery in [Delivery::Sent, Delivery::Retried("greylisted"), Delivery::Failed("no such user")] {
        telemetry.emit(NotificationTried { medium: Medium::Email, to: "lead", incident: "i", sequence: 1, delivery });
    }
    telemetry.emit(OutboxDepth(2));
    telemetry.emit(Reloaded { wall: NOW, outcome: Ok("a1b2") });
    telemetry.emit(Reloaded { wall: NOW, outcome: Err("gap between ranges") });
}

fn assert_lines(text: &str, expected: &[&str]) {
    let lines: BTreeSet<&str> = text.lines().collect();
    for line in expected {
        let name = line.split(['{', ' ']).next().unwrap_or("");
        let near: Vec<&&str> = lines.iter().filter(|l| l.starts_with(name)).take(12).collect();
        assert!(lines.contains(line), "missing: {line}\nnear: {near:#?}");
    }
}

#[test]
fn the_prometheus_text_holds_indicators_sums_waits_and_levels() {
    let server = Server::floor();
    live(&server);
    let answer = get(server.port, "/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_lines(
        &answer.body,
        &[
            "# TYPE atalaya_asa_seconds gauge",
            r#"atalaya_asa_seconds{queue="reclamos",channel="facebook",window="15m"} 2822"#,
            r#"atalaya_agents{queue="soporte",channel="voice",state="available"} 0"#,
            r#"atalaya_occupancy_ratio{queue="ventas",channel="voice",window="30m"} 0.52"#,
            r#"atalaya_service_level_ratio{queue="reclamos",channel="whatsapp",window="15m",threshold="24h",treatment="offered"} 0.914"#,
            "# TYPE atalaya_sum_wait_seconds_total counter",
            "atalaya_sum_wait_seconds_total 1234.5",
            r#"atalaya_sum_wait_seconds_total{queue="vip \"oro\" \\ 1",channel="email"} 1234.5"#,
            r#"atalaya_sum_answered_total{channel="voice"} 37"#,
            r#"atalaya_wait_seconds_bucket{queue="ventas",le="60"} 30"#,
            r#"atalaya_wait_seconds_bucket{queue="ventas",le="+Inf"} 37"#,
            r#"atalaya_wait_seconds_count{queue="ventas"} 37"#,
            r#"atalaya_alert_level{matrix="redes",indicator="asa",queue="reclamos",channel="facebook",window="15m"} 3"#,
            r#"atalaya_alert_level{matrix="redes",indicator="asa",queue="soporte",channel="chat",window="15m"} 0"#,
            r#"atalaya_alert_level{matrix="redes",indicator="agents",queue="soporte",channel="voice",state="available"} 3"#,
            r#"atalaya_events_total{outcome="applied",source="atalaya.interactions"} 1200"#,
            r#"atalaya_events_total{outcome="rejected",reason="not_json",source="atalaya.interactions"} 1"#,
            r#"atalaya_source_lag_records{partition="0",source="atalaya.interactions"} 4"#,
            r#"atalaya_source_lateness_seconds{partition="0",source="atalaya.interactions"} 3"#,
            "atalaya_watermark_age_seconds 2",
            "atalaya_evaluation_age_seconds 1",
            "atalaya_evaluation_duration_seconds_count 1",
            r#"atalaya_notifications_total{medium="email",result="failed"} 1"#,
            "atalaya_outbox_depth 2",
            "atalaya_reload_success 0",
            r#"atalaya_reload_hash{hash="a1b2"} 1"#,
            r#"atalaya_dropped_total{limit="keys"} 2"#,
            r#"atalaya_dead_letters_total{result="failed"} 1"#,
            "atalaya_ready 0",
        ],
    );
    // A roll-up leaves out its label, and a value without samples has no series.
    assert!(answer.body.lines().any(|l| l.starts_with("atalaya_asa_seconds{window=\"15m\"} ")));
    assert!(answer.body.lines().any(|l| l.starts_with("atalaya_waiting ")));
    assert!(!answer.body.contains(r#"atalaya_asa_seconds{queue="soporte",channel="chat""#));
    assert!(!answer.body.contains(r#"partition="1""#), "a partition that went away leaves no gauge");
}

#[test]
fn a_correction_never_lets_a_counter_fall() {
    let server = Server::floor();
    let shown = |wait_sum: f64| {
        server.table.lock().unwrap().wait_sum = wait_sum;
        let text = get(server.port, "/metrics").body;
        let line = text.lines().find(|line| line.starts_with("atalaya_sum_wait_seconds_total ")).unwrap().to_owned();
        line.split(' ').nth(1).unwrap().parse::<f64>().unwrap()
    };
    assert_eq!([100.0, 90.0, 95.0, 110.0].map(shown), [100.0, 100.0, 100.0, 110.0]);
}

#[test]
fn an_instance_that_does_not_evaluate_shows_itself_only() {
    let server = Server::floor();
    server.telemetry.show_indicators(false);
    let text = get(server.port, "/metrics").body;
    assert!(!text.contains("atalaya_asa_seconds") && !text.contains("atalaya_alert_level"));
    assert!(text.contains("atalaya_build_info{"));
}

#[test]
fn ages_that_nothing_is_known_of_are_absent() {
    let text = get(Server::floor().port, "/metrics").body;
    assert!(!text.contains("atalaya_watermark_age_seconds") && !text.contains("atalaya_evaluation_age_seconds"));
}

#[test]
fn the_format_is_what_the_scraper_prefers() {
    use atalaya::telemetry::Format::{self, OpenMetrics, Prometheus};
    for (accept, expected) in [
        ("", Prometheus),
        ("*/*", Prometheus),
        ("text/plain", Prometheus),
        ("application/openmetrics-text", OpenMetrics),
        (OPENMETRICS.trim_start_matches("Accept: ").trim_end(), OpenMetrics),
        ("application/openmetrics-text;version=1.0.0;q=0.3,text/plain;q=0.9", Prometheus),
        ("application/openmetrics-text;version=1.0.0;q=0", Prometheus),
        ("application/openmetrics-text;version=0.0.1", Prometheus),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", OpenMetrics),
    ] {
        assert_eq!(Format::negotiate(accept), expected, "{accept}");
    }
}

#[test]
fn openmetrics_says_the_same_in_its_own_words() {
    let server = Server::floor();
    live(&server);
    let answer = request(server.port, "GET", "/metrics", OPENMETRICS);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(answer.body.ends_with("\n# EOF\n"));
    assert_lines(
        &answer.body,
        &[
            "# TYPE atalaya_sum_wait_seconds counter",
            "# UNIT atalaya_sum_wait_seconds seconds",
            r#"atalaya_sum_wait_seconds_total{queue="vip \"oro\" \\ 1",channel="email"} 1234.5"#,
            "# TYPE atalaya_wait_seconds histogram",
            r#"atalaya_wait_seconds_bucket{queue="ventas",le="1800.0"} 36.0"#,
            r#"atalaya_wait_seconds_bucket{queue="ventas",le="+Inf"} 37.0"#,
            r#"atalaya_asa_seconds{queue="reclamos",channel="facebook",window="15m"} 2822.0"#,
            "# UNIT atalaya_occupancy_ratio ratio",
            "# TYPE atalaya_events counter",
        ],
    );
    let plain = get(server.port, "/metrics").body;
    let samples = |text: &str| text.lines().filter(|line| line.starts_with("atalaya_")).count();
    assert_eq!(samples(&answer.body), samples(&plain));
}

#[test]
fn promtool_finds_nothing_to_mend() {
    let Some(promtool) = tools::find("promtool", "prometheus") else { return };
    let server = Server::floor();
    live(&server);
    let text = get(server.port, "/metrics").body;
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_shipped_configuration_and_rules_are_accepted() {
    let Some(promtool) = tools::find("promtool", "prometheus") else { return };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus");
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules/atalaya.yml"],
        ["test", "rules", "rules/atalaya.test.yml"],
    ] {
        let output = Command::new(&promtool).args(arguments).current_dir(folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}

/// Every metric that rules and dashboard ask for exists, and every metric is documented.
#[test]
fn rules_dashboard_and_documentation_name_metrics_that_exist() {
    let server = Server::floor();
    live(&server);
    let text = get(server.port, "/metrics").body;
    let families: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let read = |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for file in ["deploy/prometheus/rules/atalaya.yml", "deploy/grafana/dashboards/overview.json"] {
        for name in metric_names(&read(file)) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let exists = families.contains(name.as_str()) || base.is_some_and(|base| families.contains(base));
            assert!(exists, "{file} asks for {name}, which does not exist");
        }
    }
    let documented = metric_names(&read("docs/metrics.md"));
    let indicators: BTreeSet<String> = atalaya::indicators::all().map(atalaya::telemetry::metric_name).collect();
    for name in families.iter().filter(|name| name.starts_with("atalaya_")) {
        let known = documented.contains(*name) || indicators.contains(*name) || name.starts_with("atalaya_sum_");
        assert!(known, "{name} is not in docs/metrics.md");
    }
}

/// The words of a text that begin with `atalaya_`.
fn metric_names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("atalaya_") && !word.ends_with('_'))
        .map(str::to_owned)
        .collect()
}

/// A program that is stopped when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_prometheus_scrapes_it() {
    let Some(prometheus) = tools::find("prometheus", "prometheus") else { return };
    let server = Server::floor();
    let folder = tempfile::tempdir().unwrap();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: atalaya\n    static_configs: [{{ targets: ['127.0.0.1:{}'] }}]\n",
        server.port
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let child = Command::new(prometheus)
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let query = "/api/v1/query?query=atalaya_asa_seconds%7Bqueue%3D%22reclamos%22%2Cchannel%3D%22facebook%22%2Cwindow%3D%2215m%22%7D";
    let deadline = wall_seconds() + 30;
    loop {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            let body = get(port, query).body;
            if body.contains(r#""2822""#) {
                break;
            }
            assert!(wall_seconds() < deadline, "not scraped: {body}\n{}", get(port, "/api/v1/targets").body);
        }
        assert!(wall_seconds() < deadline, "prometheus does not answer");
        // Another program starts: there is nothing of ours to wait on.
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(wall(), NOW + Millis::SECOND, "the server's own clock is the fixture's");
}

fn wall_seconds() -> i64 {
    atalaya::clock::now().0 / 1000
}
