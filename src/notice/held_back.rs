//! The mail about notices that were held back because there were too many: how many, and of which incidents.

use super::mail::{self, place};
use super::{Context, Email, NAME_MAX, clean, html, thread, values, words};
use crate::matrix::Language;
use crate::matrix::engine::{HeldBack, Notification};

pub fn email(notification: &Notification, held: &HeldBack, context: &Context<'_>) -> Email {
    let matrix = &notification.transition.matrix;
    let language = matrix.language;
    let named = held.incidents.iter().map(|(notice, count)| line(notice, *count, context));
    let rest = (held.beyond > 0).then(|| others(language, held.beyond));
    let lines: Vec<String> = named.chain(rest).collect();
    let title = title(language, held.notices);
    let subject = format!("{} · {title}", words::level(language, notification.level));
    let about = about(language);
    let foot = format!("{}: {} · {}", words::matrix(language), clean(&matrix.name, NAME_MAX, false), notification.to);
    let late = words::late(language, &mail::when(matrix, notification.time));
    let board = context.board.map(|url| clean(url, 500, false));
    let link = board.as_ref().map(|url| format!("{}: {url}\n\n", words::board(language))).unwrap_or_default();
    let text = |late: &str| format!("{late}{title}. {about}\n\n{}\n\n{link}-- \n{foot}\n", lines.join("\n"));
    let items: String =
        lines.iter().map(|line| format!("<li style=\"margin:0 0 8px\">{}</li>\n", html::escape(line))).collect();
    let page = |late: Option<&str>| {
        let content = format!(
            "{}<p style=\"margin:0 0 8px\">{} <strong>{}</strong></p>\n<p style=\"margin:0 0 12px\">{}</p>\n\
             <ul style=\"margin:0;padding:0 0 0 20px\">\n{items}</ul>\n{}\
             <p style=\"margin:20px 0 0;font-size:13px;opacity:.8\">{}</p>\n",
            late.map(|late| html::remark(late, "currentColor")).unwrap_or_default(),
            html::badge(notification.level, words::level(language, notification.level)),
            html::escape(&title),
            html::escape(about),
            board.as_deref().map(|url| html::board(url, language)).unwrap_or_default(),
            html::escape(&foot),
        );
        html::frame(language, &subject, &content)
    };
    Email {
        to: notification.address.clone(),
        thread: thread(notification, context.domain, false),
        list_id: mail::list_id(matrix, context),
        text: text(""),
        html: page(None),
        late_text: text(&format!("{late}\n\n")),
        late_html: page(Some(&late)),
        picture: None,
        subject,
    }
}

/// `WARNING · sales · voice · Waiting 12 · 3`: the level now, the case, its value, and how many notices were held back.
fn line(notice: &Notification, count: u32, context: &Context<'_>) -> String {
    let (transition, language) = (&notice.transition, notice.transition.matrix.language);
    let selector = &transition.selector;
    let value = values::read(notice.value, selector.indicator.unit, language, &[], words::no_data(language));
    let indicator = words::indicator(language, selector.indicator, &selector.labels, context.plan);
    let (level, place) = (words::level(language, notice.level), place(&transition.key, language));
    format!("{level} · {place} · {indicator} {value} · ×{count}")
}

fn title(language: Language, notices: u32) -> String {
    match language {
        Language::Es => format!("{notices} avisos más retenidos"),
        Language::En => format!("{notices} more notices held back"),
        Language::Pt => format!("{notices} avisos retidos a mais"),
    }
}

fn about(language: Language) -> &'static str {
    match language {
        Language::Es => "Eran más de los que este contacto recibe en una hora. Lo último de cada incidente:",
        Language::En => "They were more than this contact gets in an hour. The last of each incident:",
        Language::Pt => "Eram mais do que este contato recebe em uma hora. O último de cada incidente:",
    }
}

/// Of incidents that are not named.
fn others(language: Language, notices: u32) -> String {
    match language {
        Language::Es => format!("otros incidentes · ×{notices}"),
        Language::En => format!("other incidents · ×{notices}"),
        Language::Pt => format!("outros incidentes · ×{notices}"),
    }
}
