//! The files under `deploy/kubernetes` fit each other, the image and the program.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes")
}

/// The documents of a file.
fn documents(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let read = |part: &str| serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{name}: {error}"));
    text.split("\n---\n").map(read).collect()
}

fn only(name: &str) -> Value {
    let mut all = documents(name);
    assert_eq!(all.len(), 1, "{name}");
    all.remove(0)
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap_or_else(|| panic!("no list: {list}")).iter().map(|item| item.as_str().unwrap()).collect()
}

/// The one container of the pods.
fn container(set: &Value) -> &Value {
    let containers = set["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    &containers[0]
}

#[test]
fn every_file_is_named_and_there() {
    let kustomization = only("kustomization.yaml");
    let mut named: BTreeSet<String> = texts(&kustomization["resources"]).into_iter().map(str::to_owned).collect();
    for generator in kustomization["configMapGenerator"].as_array().unwrap() {
        named.extend(texts(&generator["files"]).into_iter().map(str::to_owned));
    }
    named.insert("kustomization.yaml".to_owned());
    let mut there = BTreeSet::new();
    for inside in ["", "matrices/"] {
        for entry in fs::read_dir(folder().join(inside)).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                there.insert(format!("{inside}{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    assert_eq!(named, there);
    let tag = kustomization["images"][0]["newTag"].as_str().unwrap();
    assert_eq!(tag, env!("CARGO_PKG_VERSION"), "an image of this version");
    assert_eq!(kustomization["images"][0]["name"], container(&only("statefulset.yaml"))["image"]);
}

#[test]
fn the_program_takes_its_files_arguments_and_variables() {
    let set = only("statefulset.yaml");
    let container = container(&set);
    let args = texts(&container["args"]);
    let file = args.last().unwrap();
    assert_eq!(args[args.len() - 2..], ["-c", "/etc/atalaya/atalaya.yaml"]);
    let help = Command::new(env!("CARGO_BIN_EXE_atalaya")).args([args[0], "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("--log-json") && args.contains(&"--log-json"), "{help}");

    // Every variable is a key that the program knows, and the configuration and matrices have no defect.
    let mut check = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    check.arg("check").arg("-c").arg(folder().join("atalaya.yaml")).arg(folder().join("matrices")).env_clear();
    let names: Vec<&str> =
        container["env"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ATALAYA_KAFKA__INSTANCE"]);
    let output = check.envs(names.iter().map(|name| (name, "atalaya-0"))).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("0 warnings"), "{said}");
    assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name", "the pod's own name");

    // What the configuration names is mounted where it says.
    let mounted = |name: &str| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == name).unwrap();
        assert_eq!(mount["readOnly"], true, "{name}");
        mount["mountPath"].as_str().unwrap()
    };
    assert_eq!(Path::new(file).parent(), Some(Path::new(mounted("config"))));
    let configuration = only("atalaya.yaml");
    assert_eq!(configuration["matrices"], json!([mounted("matrices")]));
    let text = fs::read_to_string(folder().join("atalaya.yaml")).unwrap();
    let secrets: BTreeSet<&str> = text.split(mounted("secrets")).skip(1).map(|rest| &rest[1..]).collect();
    let secrets: BTreeSet<&str> = secrets.iter().map(|rest| rest.split(['\n', ' ']).next().unwrap()).collect();
    let how = fs::read_to_string(folder().join("kustomization.yaml")).unwrap();
    let made = how.split("--from-file=").skip(1).map(|rest| rest.split(['\n', ' ']).next().unwrap()).collect();
    assert_eq!(secrets, made, "the Secret holds what the configuration names");
}

#[test]
fn ports_and_probes_are_those_of_the_program() {
    let set = only("statefulset.yaml");
    let container = container(&set);
    let configuration = only("atalaya.yaml");
    let listen = configuration["http"]["listen"].as_str().unwrap();
    let port: u64 = listen.strip_prefix("0.0.0.0:").expect("of every network").parse().unwrap();
    assert_eq!(container["ports"], json!([{ "name": "http", "containerPort": port }]));
    assert_eq!(set["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"], port.to_string());
    let image = fs::read_to_string(folder().join("../Containerfile")).unwrap();
    assert!(image.contains(&format!("\nEXPOSE {port}\n")));
    for (probe, path) in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"], json!({ "path": path, "port": "http" }), "{probe}");
    }
    for service in documents("service.yaml") {
        assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    }
}

#[test]
fn pods_are_found_moved_one_by_one_and_given_time() {
    let set = only("statefulset.yaml");
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    let services = documents("service.yaml");
    assert!(services.iter().all(|service| service["spec"]["selector"] == *labels));
    assert_eq!(set["spec"]["selector"]["matchLabels"], *labels);
    let governing = services.iter().find(|service| service["metadata"]["name"] == set["spec"]["serviceName"]).unwrap();
    assert_eq!(governing["spec"]["clusterIP"], "None", "headless, as a StatefulSet asks for");
    let budget = only("poddisruptionbudget.yaml");
    assert_eq!(budget["spec"]["selector"]["matchLabels"], *labels);
    let replicas = set["spec"]["replicas"].as_u64().unwrap();
    assert!(budget["spec"]["maxUnavailable"].as_u64().unwrap() < replicas, "one is left");
    let grace = set["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace > atalaya::service::STOPS_WITHIN.as_secs(), "Kubernetes would cut the drain off");
}

#[test]
fn the_container_may_do_nothing_that_it_need_not() {
    let set = only("statefulset.yaml");
    let pod = &set["spec"]["template"]["spec"];
    let security = &container(&set)["securityContext"];
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["capabilities"], json!({ "drop": ["ALL"] }));
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"], false);
    let user = &pod["securityContext"]["runAsUser"];
    let image = fs::read_to_string(folder().join("../Containerfile")).unwrap();
    assert!(image.contains(&format!("\nUSER {user}:{user}\n")), "the user of the image");
    // It writes no file.
    let kinds = |volume: &Value| volume.get("configMap").or(volume.get("secret")).is_some();
    assert!(pod["volumes"].as_array().unwrap().iter().all(kinds));
    let resources = &container(&set)["resources"];
    assert!(resources["requests"]["memory"].is_string() && resources["limits"]["memory"].is_string());
    assert!(resources["limits"].get("cpu").is_none(), "evaluations are not held up");
}
