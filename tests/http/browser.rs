//! A real browser, driven over its DevTools protocol: what a person presses and types, and what is then on the page.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::tools;

/// Longest wait for an answer of the browser; what is waited for on the page has half of it.
const ANSWER: Duration = Duration::from_secs(60);

pub struct Browser {
    child: Child,
    input: ChildStdin,
    answers: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where there is no browser.
    pub fn open(address: &str) -> Option<Self> {
        let chromium = tools::find("chromium", "chromium")?;
        let profile = tempfile::tempdir().unwrap();
        // The protocol is spoken on the descriptors 3 and 4, a message to a zero byte; a shell puts the pipes there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .arg(chromium)
            .args(["--remote-debugging-pipe", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (told, answers) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                let value: Value = serde_json::from_slice(message.strip_suffix(b"\0").unwrap_or(&message)).unwrap();
                message.clear();
                // An event has no id.
                if value["id"].is_u64() && told.send(value).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser { child, input, answers, session: None, asked: 0, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        browser.call("Page.enable", json!({}));
        browser.size(1280, 900, "light");
        browser.call("Page.navigate", json!({"url": address}));
        Some(browser)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        let answer = self.ask(method, &parameters);
        assert_eq!(answer["error"], Value::Null, "{method} {parameters}");
        answer["result"].clone()
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.answers.recv_timeout(ANSWER).unwrap_or_else(|_| panic!("no answer to {message}"));
            if answer["id"] == self.asked {
                return answer;
            }
        }
    }

    pub fn size(&mut self, width: u32, height: u32, scheme: &str) {
        let mobile = width < 600;
        let about = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.call("Emulation.setDeviceMetricsOverride", about);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    pub fn reload(&mut self) {
        // So that what is waited for next is not seen on the page that goes.
        self.eval("document.body.remove()");
        self.call("Page.reload", json!({}));
    }

    /// What an expression, or the promise that it gives, comes to.
    pub fn eval(&mut self, expression: &str) -> Value {
        let about = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", about);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// Waits until the expression is true on the page.
    pub fn until(&mut self, expression: &str) {
        let text = format!(
            "new Promise((done) => {{ const look = () => {{ let is; try {{ is = {expression}; }} catch {{ is = false; }} \
             if (is) done(''); else if (performance.now() > end) done(document.body.innerText); else setTimeout(look, 20); }}; \
             const end = performance.now() + {}; look(); }})",
            ANSWER.as_millis() / 2
        );
        let about = json!({"expression": text, "awaitPromise": true, "returnByValue": true});
        // A page that is left while it is looked at takes the look with it; the next page is looked at anew.
        let mut answer = self.ask("Runtime.evaluate", &about);
        if !answer["error"].is_null() {
            answer = self.ask("Runtime.evaluate", &about);
        }
        assert_eq!(answer["result"]["result"]["value"], "", "never on the page: {expression}: {answer}");
    }

    /// Presses the middle of the one element that the selector finds, as a mouse does: what lies over it gets the press.
    pub fn press(&mut self, selector: &str) {
        let selector = json!(selector);
        self.until(&format!("document.querySelectorAll({selector}).length === 1"));
        let at = self.eval(&format!(
            "(() => {{ const found = document.querySelector({selector}); found.scrollIntoView({{ block: 'center' }}); \
             const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let about = json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", about);
        }
    }

    /// Types into what has the focus.
    pub fn text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    pub fn key(&mut self, name: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let about = json!({"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", about);
        }
    }

    /// The window as it is, under `target/tmp/pages`.
    pub fn picture(&mut self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
        std::fs::create_dir_all(&folder).unwrap();
        let shot = self.call("Page.captureScreenshot", json!({}));
        std::fs::write(folder.join(name), STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
