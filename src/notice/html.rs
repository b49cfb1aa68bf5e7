//! The HTML part: one column that a telephone shows as it is, inline styles only, nothing fetched.
//!
//! No colour of text or ground is set outside the level's badge, so that a dark mail client keeps its own; the level
//! is always written beside its colour.

use crate::matrix::Level;

use super::mail::{Acknowledge, Facts};
use super::words;

/// Ground of the badge; its text is white (dark on amber), with a contrast of 4.5 at least.
pub fn colours(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Ok => ("#1b7a3d", "#ffffff"),
        Level::Info => ("#1f5fa8", "#ffffff"),
        Level::Warning => ("#f0a818", "#1c1400"),
        Level::Critical => ("#b3261e", "#ffffff"),
    }
}

pub fn page(facts: &Facts, late: bool) -> String {
    let (ground, ink) = colours(facts.level);
    let language = facts.language;
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n</head>\n\
         <body style=\"margin:0;padding:16px;font:16px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif\">\n\
         <div style=\"max-width:600px;margin:0 auto\">\n",
        words::page_language(language),
        escape(&facts.subject),
    );
    let mut note = |text: &str| {
        out.push_str(&format!(
            "<p style=\"margin:0 0 12px;padding:8px 12px;border:1px solid {ground};border-radius:6px\">{}</p>\n",
            escape(text)
        ));
    };
    if let Some(test) = facts.test {
        note(test);
    }
    if late {
        note(&facts.late);
    }
    if let Some(missed) = &facts.missed {
        note(missed);
    }
    if let Some(restarted) = facts.restarted {
        note(restarted);
    }
    if let Some(action) = &facts.action {
        out.push_str(&format!(
            "<div style=\"margin:0 0 16px;padding:4px 0 4px 14px;border-left:6px solid {ground}\">\n\
             <p style=\"margin:0;font-size:13px;letter-spacing:.04em;text-transform:uppercase;opacity:.75\">{}</p>\n\
             <p style=\"margin:4px 0 0;font-size:20px;font-weight:600\">{}</p>\n</div>\n",
            escape(words::todo(language)),
            escape(action).replace('\n', "<br>"),
        ));
    }
    out.push_str(&format!(
        "<p style=\"margin:0 0 4px\"><span style=\"display:inline-block;padding:2px 10px;border-radius:4px;\
         background:{ground};color:{ink};font-weight:700\">{}</span> <strong>{}</strong></p>\n\
         <p style=\"margin:0 0 12px\">{}: <strong style=\"font-size:20px\">{}</strong>",
        escape(facts.level_word),
        escape(&facts.place),
        escape(&facts.indicator),
        escape(&facts.entry),
    ));
    if !facts.goal.is_empty() {
        out.push_str(&format!(" ({} {})", escape(words::goal(language)), escape(&facts.goal)));
    }
    out.push_str("</p>\n");
    for (label, text) in &facts.lines {
        out.push_str(&format!(
            "<p style=\"margin:0 0 4px\"><span style=\"opacity:.75\">{}:</span> {}</p>\n",
            escape(label),
            escape(text)
        ));
    }
    match &facts.acknowledge {
        Some(Acknowledge::Link(link)) => out.push_str(&format!(
            "<p style=\"margin:12px 0 0\"><a href=\"{}\" style=\"font-weight:600\">{}</a></p>\n",
            escape(link),
            escape(words::acknowledge_link(language))
        )),
        Some(Acknowledge::Command(command)) => out.push_str(&format!(
            "<p style=\"margin:12px 0 0\">{}: <code>{}</code></p>\n",
            escape(words::acknowledge_by(language)),
            escape(command)
        )),
        None => {}
    }
    if let Some(board) = &facts.board {
        out.push_str(&format!(
            "<p style=\"margin:12px 0 0\"><a href=\"{}\">{}</a></p>\n",
            escape(board),
            escape(words::board(language))
        ));
    }
    out.push_str(&format!(
        "<p style=\"margin:16px 0 0;font-size:12px;opacity:.75\">{}</p>\n</div>\n</body>\n</html>\n",
        escape(&facts.foot)
    ));
    out
}

/// Text as it stands in an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
