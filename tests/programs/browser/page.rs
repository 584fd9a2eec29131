//! The page in a browser, used as a person uses it: by what its accessibility tree says, with keys,
//! the mouse and files.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use serde_json::{Value, json};

use super::devtools::Browser;
use crate::common::DEADLINE;

/// Stands between the page and its connection, so that a case can look at what is sent, keep back
/// what arrives, hand in bytes, or cut the connection.
const HOOK: &str = r"
    window.sockets = [];
    window.sentBytes = [];
    window.keptBack = null;
    window.WebSocket = class extends WebSocket {
        constructor(...parts) {
            super(...parts);
            window.sockets.push(this);
            this.addEventListener('message', (event) => {
                if (window.keptBack === null || event.handedIn) return;
                window.keptBack.push([this, event.data]);
                event.stopImmediatePropagation();
            });
        }
        send(data) {
            if (data.byteLength < 100000) window.sentBytes.push(new TextDecoder().decode(data));
            super.send(data);
        }
    };
    window.handIn = (socket, data) => {
        const event = new MessageEvent('message', { data });
        event.handedIn = true;
        socket.dispatchEvent(event);
    };
    window.letGo = () => {
        const kept = window.keptBack;
        window.keptBack = null;
        for (const [socket, data] of kept) window.handIn(socket, data);
    };
";

/// The size and the kind of a screen.
#[derive(Clone, Copy)]
pub(super) struct Screen {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) scale: f32,
    pub(super) is_phone: bool,
}

pub(super) const DESKTOP: Screen = Screen { width: 1100, height: 750, scale: 1.0, is_phone: false };
pub(super) const PHONE: Screen = Screen { width: 390, height: 780, scale: 2.0, is_phone: true };

/// A page of its own browser context; it is closed when dropped.
pub(super) struct Page {
    browser: &'static Browser,
    context: String,
    session: String,
    pub(super) events: Receiver<Value>,
    url: String,
}

impl Page {
    /// An empty page, prepared but not opened.
    #[track_caller]
    pub(super) fn new(browser: &'static Browser, url: String, screen: Screen) -> Self {
        let context = browser.call(None, "Target.createBrowserContext", json!({}));
        let context = context["browserContextId"].as_str().expect("a context").to_owned();
        let target = json!({ "url": "about:blank", "browserContextId": context });
        let target = browser.call(None, "Target.createTarget", target);
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call(None, "Target.attachToTarget", attach);
        let session = session["sessionId"].as_str().expect("a session").to_owned();
        let events = browser.listen(&session);
        let page = Self { browser, context, session, events, url };
        for domain in ["Page", "Runtime", "DOM"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page.set_screen(screen);
        page.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }));
        page.before_it_runs(HOOK);
        page
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A script that runs before the page's own.
    pub(super) fn before_it_runs(&self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    pub(super) fn set_screen(&self, screen: Screen) {
        let Screen { width, height, scale, is_phone } = screen;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        self.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": is_phone }));
    }

    /// A preference of the person's, such as `prefers-color-scheme: dark`.
    pub(super) fn prefer(&self, name: &str, value: &str) {
        let features = json!({ "features": [{ "name": name, "value": value }] });
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Loads the page and waits until it asks for a nickname.
    #[track_caller]
    pub(super) fn open(&self) {
        self.load();
        self.find("dialog", "Join");
    }

    /// Loads the page, whatever it then shows.
    #[track_caller]
    pub(super) fn load(&self) {
        self.call("Page.navigate", json!({ "url": self.url }));
        self.wait_for("the page", "document.readyState === 'complete'");
    }

    /// Joins under a nickname, and gives the UID.
    #[track_caller]
    pub(super) fn join(&self, nickname: &str) -> u64 {
        self.type_text(nickname);
        self.press("Enter");
        self.wait_for_state("connected");
        let own = "document.querySelector('[role=list] button .uid')?.textContent";
        self.wait_for("one's own entry", &format!("{own} !== undefined"));
        self.js(own).as_str().and_then(|uid| uid.parse().ok()).expect("a UID")
    }

    // DevTools

    #[track_caller]
    pub(super) fn call(&self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params)
    }

    /// What a JavaScript expression is worth.
    #[track_caller]
    pub(super) fn js(&self, expression: &str) -> Value {
        match self.try_js(expression) {
            Ok(value) => value,
            Err(why) => panic!("{expression}: {why}"),
        }
    }

    /// As `js`; the browser's own words where there is no page to be asked.
    #[track_caller]
    fn try_js(&self, expression: &str) -> Result<Value, String> {
        let params = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
            "userGesture": true,
        });
        let mut answer = self.browser.try_call(Some(&self.session), "Runtime.evaluate", params)?;
        if let Some(details) = answer.get("exceptionDetails") {
            panic!("{expression}\n threw {details}");
        }
        Ok(answer["result"]["value"].take())
    }

    #[track_caller]
    pub(super) fn text(&self, expression: &str) -> String {
        let value = self.js(expression);
        value.as_str().unwrap_or_else(|| panic!("{expression} is no text: {value}")).to_owned()
    }

    #[track_caller]
    pub(super) fn number(&self, expression: &str) -> f64 {
        let value = self.js(expression);
        value.as_f64().unwrap_or_else(|| panic!("{expression} is no number: {value}"))
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(super) fn wait_for(&self, what: &str, expression: &str) {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.try_js(expression) {
                Ok(Value::Bool(true)) => return,
                Ok(_) => {}
                // One page goes and another one comes.
                Err(why) if why.contains("navigated") || why.contains("context") => {}
                Err(why) => panic!("{expression}: {why}"),
            }
            if Instant::now() > until {
                panic!("not within {DEADLINE:?}: {what}: {expression}\n{}", self.shown());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What the page shows, for a failure's message.
    fn shown(&self) -> String {
        self.js("document.body.innerText.slice(0, 3000)").to_string()
    }

    // What the accessibility tree says

    /// The elements of a role with exactly this name, as the browser's numbers for them.
    #[track_caller]
    pub(super) fn all(&self, role: &str, name: &str) -> Vec<u64> {
        let document = self.call("Runtime.evaluate", json!({ "expression": "document" }));
        let params = json!({
            "objectId": document["result"]["objectId"], "role": role, "accessibleName": name,
        });
        let found = self.call("Accessibility.queryAXTree", params);
        let nodes = found["nodes"].as_array().cloned().unwrap_or_default();
        let shown = nodes.iter().filter(|node| node["ignored"] != json!(true));
        shown.filter_map(|node| node["backendDOMNodeId"].as_u64()).collect()
    }

    /// The one element of a role and a name; waits for it.
    #[track_caller]
    pub(super) fn find(&self, role: &str, name: &str) -> u64 {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.all(role, name)[..] {
                [node] => return node,
                ref nodes if Instant::now() > until => panic!(
                    "{} elements are {role} {name:?} after {DEADLINE:?}\n{}",
                    nodes.len(),
                    self.shown()
                ),
                _ => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Waits until there is no such element.
    #[track_caller]
    pub(super) fn wait_until_gone(&self, role: &str, name: &str) {
        let until = Instant::now() + DEADLINE;
        while !self.all(role, name).is_empty() {
            assert!(Instant::now() < until, "{role} {name:?} is there still\n{}", self.shown());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What a function of an element gives.
    #[track_caller]
    pub(super) fn of(&self, node: u64, function: &str) -> Value {
        let object = self.call("DOM.resolveNode", json!({ "backendNodeId": node }));
        let params = json!({
            "objectId": object["object"]["objectId"], "functionDeclaration": function,
            "returnByValue": true, "userGesture": true,
        });
        let mut answer = self.call("Runtime.callFunctionOn", params);
        assert!(answer.get("exceptionDetails").is_none(), "{function}: {answer}");
        answer["result"]["value"].take()
    }

    /// The accessible description of an element.
    #[track_caller]
    pub(super) fn description(&self, node: u64) -> String {
        let params = json!({ "backendNodeId": node, "fetchRelatives": false });
        let answer = self.call("Accessibility.getPartialAXTree", params);
        answer["nodes"][0]["description"]["value"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits for what the state of the connection says.
    #[track_caller]
    pub(super) fn wait_for_state(&self, text: &str) {
        let state = "document.querySelector('[role=status]').textContent";
        self.wait_for("the state", &format!("{state} === {}", json!(text)));
    }

    /// The messages in the log, each as its text content.
    #[track_caller]
    pub(super) fn messages(&self) -> Vec<String> {
        let all = "[...document.querySelectorAll('[role=log] article')].map(a => a.textContent)";
        serde_json::from_value(self.js(all)).expect("texts")
    }

    /// Waits until a message in the log holds this text.
    #[track_caller]
    pub(super) fn wait_for_message(&self, text: &str) {
        let log = "[...document.querySelectorAll('[role=log] article')]";
        let is_there = format!("{log}.some(a => a.textContent.includes({}))", json!(text));
        self.wait_for("a message", &is_there);
    }

    /// How many messages in the log hold this text.
    #[track_caller]
    pub(super) fn count_of(&self, text: &str) -> usize {
        self.messages().iter().filter(|message| message.contains(text)).count()
    }

    /// What stands in the message box.
    #[track_caller]
    pub(super) fn box_text(&self) -> String {
        let text = self.of(self.find("textbox", "Message"), "function () { return this.value; }");
        text.as_str().expect("a text").to_owned()
    }

    // What a person does

    /// Text as an input method or a paste gives it, into what has the focus.
    #[track_caller]
    pub(super) fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    #[track_caller]
    pub(super) fn press(&self, key: &str) {
        self.press_with(key, 0);
    }

    /// Presses a key; `modifiers` is 8 for Shift.
    #[track_caller]
    pub(super) fn press_with(&self, key: &str, modifiers: u32) {
        let (code, number, text) = match key {
            "Enter" => ("Enter", 13, "\r"),
            "Escape" => ("Escape", 27, ""),
            "Tab" => ("Tab", 9, ""),
            " " => ("Space", 32, " "),
            letter => (letter, 0, letter),
        };
        let mut event = json!({
            "type": "keyDown", "key": key, "code": code, "windowsVirtualKeyCode": number,
            "modifiers": modifiers,
        });
        if !text.is_empty() {
            event["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", event);
    }

    /// Says a text in the message box.
    #[track_caller]
    pub(super) fn say(&self, text: &str) {
        let message = self.find("textbox", "Message");
        self.of(message, "function () { this.focus(); }");
        self.type_text(text);
        self.press("Enter");
    }

    /// Clicks with the mouse on what has this role and name.
    #[track_caller]
    pub(super) fn click(&self, role: &str, name: &str) {
        let node = self.find(role, name);
        self.call("DOM.scrollIntoViewIfNeeded", json!({ "backendNodeId": node }));
        let quads = self.call("DOM.getContentQuads", json!({ "backendNodeId": node }));
        let quad: Vec<f64> = serde_json::from_value(quads["quads"][0].clone()).expect("a place");
        let (x, y) = ((quad[0] + quad[4]) / 2.0, (quad[1] + quad[5]) / 2.0);
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// The processor time of the page's thread so far, in milliseconds; `Performance` is enabled with
    /// `threadTicks`.
    #[track_caller]
    pub(super) fn work(&self) -> f64 {
        let metrics = self.call("Performance.getMetrics", json!({}));
        let metrics = metrics["metrics"].as_array().expect("a list").iter();
        let all = metrics.filter(|metric| metric["name"] == "TaskDuration");
        1000.0 * all.filter_map(|metric| metric["value"].as_f64()).sum::<f64>()
    }

    /// Where downloads go.
    #[track_caller]
    pub(super) fn download_to(&self, dir: &Path) {
        let params = json!({
            "behavior": "allow", "browserContextId": self.context,
            "downloadPath": dir.to_str().expect("a path in UTF-8"),
        });
        self.browser.call(None, "Browser.setDownloadBehavior", params);
    }

    /// Cuts the connection, as seen from the page.
    #[track_caller]
    pub(super) fn cut(&self) {
        self.js("window.sockets.at(-1).close()");
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.browser.forget(&self.session);
        let context = json!({ "browserContextId": self.context });
        // The browser may be the reason for which the case has failed.
        let _ = self.browser.try_call(None, "Target.disposeBrowserContext", context);
    }
}
