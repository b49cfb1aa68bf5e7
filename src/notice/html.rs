//! The HTML part: one column that a telephone shows as it is, inline styles only, nothing fetched: the one picture travels in
//! the mail.
//!
//! No colour of text or ground is set outside the level's badge and the button, so that a dark mail client keeps its own; the
//! level is always written beside its colour. What the team lead needs at a glance comes first: what to do, how bad and where,
//! the value with its trend, who waits and who is there.

use crate::matrix::{Language, Level};

use super::chart::{HEIGHT, WIDTH};
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

/// Most characters of an action in large letters.
const LARGE: usize = 140;

/// `picture` is the id of the trend's picture, if there is one.
pub fn page(facts: &Facts, picture: Option<&str>, late: bool) -> String {
    let (ground, _) = colours(facts.level);
    let language = facts.language;
    let mut out = String::new();
    out.extend(facts.remarks(late).into_iter().map(|text| remark(text, ground)));
    if let Some(action) = &facts.action {
        // An instruction is as large as it can be without filling the screen.
        let size = if action.chars().count() > LARGE { 16 } else { 20 };
        out.push_str(&format!(
            "<div style=\"margin:0 0 16px;padding:4px 0 4px 14px;border-left:6px solid {ground}\">\n\
             <p style=\"margin:0;font-size:13px;letter-spacing:.04em;text-transform:uppercase;opacity:.75\">{}</p>\n\
             <p style=\"margin:4px 0 0;font-size:{size}px;line-height:1.35;font-weight:600\">{}</p>\n</div>\n",
            escape(words::todo(language)),
            escape(action).replace('\n', "<br>"),
        ));
    }
    out.push_str(&format!(
        "<p style=\"margin:0 0 8px\">{} <strong>{}</strong></p>\n",
        badge(facts.level, facts.level_word),
        escape(&facts.place),
    ));
    out.push_str(&value(facts));
    if let Some(id) = picture {
        out.push_str(&trend(facts, id));
    }
    // What it is now stands above already.
    let shown = facts.lines.iter().filter(|(label, _)| *label != words::value_now(language));
    for (label, text) in shown {
        out.push_str(&line(label, text));
    }
    out.push_str(&links(facts));
    let details: String = facts.details.iter().map(|(label, text)| line(label, text)).collect();
    out.push_str(&format!(
        "<div style=\"margin:20px 0 0;font-size:13px;opacity:.8\">\n{details}<p style=\"margin:8px 0 0\">{}</p>\n</div>\n",
        escape(&facts.foot)
    ));
    frame(language, &facts.subject, &out)
}

/// A page of one column around what is HTML already.
pub fn frame(language: Language, title: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n<title>{}</title>\n</head>\n\
         <body style=\"margin:0;padding:16px;font:16px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif\">\n\
         <div style=\"max-width:600px;margin:0 auto;overflow-wrap:anywhere\">\n{content}</div>\n</body>\n</html>\n",
        words::page_language(language),
        escape(title),
    )
}

/// What stands above everything else.
pub fn remark(text: &str, border: &str) -> String {
    format!(
        "<p style=\"margin:0 0 12px;padding:8px 12px;border:1px solid {border};border-radius:6px\">{}</p>\n",
        escape(text)
    )
}

/// The level as a coloured word.
pub fn badge(level: Level, word: &str) -> String {
    let (ground, ink) = colours(level);
    format!(
        "<span style=\"display:inline-block;padding:2px 10px;border-radius:4px;background:{ground};color:{ink};\
         font-weight:700\">{}</span>",
        escape(word)
    )
}

/// What is measured, the value as large as it is important, and the goal.
fn value(facts: &Facts) -> String {
    let was = match facts.now == facts.entry {
        true => String::new(),
        false => format!("{} → ", escape(&facts.entry)),
    };
    let goal = match facts.goal.is_empty() {
        true => String::new(),
        false => {
            format!(" <span style=\"opacity:.75\">({} {})</span>", words::goal(facts.language), escape(&facts.goal))
        }
    };
    format!(
        "<p style=\"margin:0 0 12px\">{}<br>{was}<strong style=\"font-size:26px;line-height:1.2\">{}</strong>{goal}</p>\n",
        escape(&facts.indicator),
        escape(&facts.now),
    )
}

/// The picture with its axes in words.
fn trend(facts: &Facts, id: &str) -> String {
    let told = facts.trend.as_ref().map(|trend| (trend.words.as_str(), trend.caption.as_str())).unwrap_or_default();
    let goal = match facts.goal.is_empty() {
        true => String::new(),
        false => format!(
            "&emsp;<span style=\"white-space:nowrap\">╌╌ {} {}</span>",
            words::goal(facts.language),
            escape(&facts.goal)
        ),
    };
    format!(
        "<p style=\"margin:0 0 12px;font-size:13px\"><img src=\"cid:{}\" alt=\"{}: {}\" width=\"{}\" height=\"{}\" \
         style=\"display:block;width:100%;height:auto;border-radius:6px;margin:0 0 4px\">\
         <span style=\"opacity:.75\">{}{goal}</span></p>\n",
        escape(id),
        escape(words::trend(facts.language)),
        escape(told.0),
        WIDTH / 2,
        HEIGHT / 2,
        escape(told.1),
    )
}

fn line(label: &str, text: &str) -> String {
    format!("<p style=\"margin:0 0 6px\"><span style=\"opacity:.75\">{}:</span> {}</p>\n", escape(label), escape(text))
}

/// How to acknowledge, as large as a thumb, and the board.
fn links(facts: &Facts) -> String {
    let language = facts.language;
    let mut out = match &facts.acknowledge {
        Some(Acknowledge::Link(link)) => format!(
            "<p style=\"margin:16px 0 0\"><a href=\"{}\" style=\"display:inline-block;padding:12px 18px;border-radius:6px;\
             background:#1f5fa8;color:#ffffff;font-weight:600;text-decoration:none\">{}</a><br>\n\
             <span style=\"font-size:13px;opacity:.75\">{}</span></p>\n",
            escape(link),
            escape(words::acknowledge_link(language)),
            escape(words::link_holds(language))
        ),
        Some(Acknowledge::Command(command)) => format!(
            "<p style=\"margin:16px 0 0\">{}: <code>{}</code></p>\n",
            escape(words::acknowledge_by(language)),
            escape(command)
        ),
        None => String::new(),
    };
    if let Some(url) = &facts.board {
        out.push_str(&board(url, language));
    }
    out
}

/// The link to the live board.
pub fn board(url: &str, language: Language) -> String {
    let (url, word) = (escape(url), escape(words::board(language)));
    format!("<p style=\"margin:16px 0 0\"><a href=\"{url}\">{word}</a></p>\n")
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
