//! Tables on a terminal, as Markdown, and as a page of HTML that stands alone.

use std::fmt::Write as _;

use super::table::{Group, Line, Table};
use crate::notice::words;

/// Characters of each column on a terminal: indicator, goal, result, action, who. With rules, 120 in all.
const WIDTHS: [usize; 5] = [24, 11, 17, 36, 20];

pub(super) fn text(tables: &[Table]) -> String {
    let mut out = String::new();
    for table in tables {
        if !out.is_empty() {
            out.push('\n');
        }
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{}", table.name);
        for (what, is) in &table.about {
            let _ = writeln!(out, "  {what}: {is}");
        }
        rule(&mut out, '=');
        cells(&mut out, &table.head.map(|head| vec![head.to_owned()]));
        for group in &table.groups {
            rule(&mut out, '=');
            // The name of a row stands beside all its ranges, so both are laid out together.
            let left = wrap_all(&group.indicator, WIDTHS[0]);
            let goal = wrap_all(std::slice::from_ref(&group.goal), WIDTHS[1]);
            let mut done = 0;
            for (index, line) in group.lines.iter().enumerate() {
                let right = right(line);
                let height = right.iter().map(Vec::len).max().unwrap_or(0);
                let last = index + 1 == group.lines.len();
                let height = if last { height.max(left.len().saturating_sub(done)) } else { height };
                let part = |lines: &[String]| lines.iter().skip(done).take(height).cloned().collect::<Vec<_>>();
                let [range, action, who] = right;
                cells(&mut out, &[part(&left), part(&goal), range, action, who]);
                done += height;
                if !last {
                    let part = |lines: &[String]| lines.iter().skip(done).take(1).cloned().collect::<Vec<_>>();
                    let dashes = |width: usize| vec!["-".repeat(width)];
                    let rules = [part(&left), part(&goal), dashes(WIDTHS[2]), dashes(WIDTHS[3]), dashes(WIDTHS[4])];
                    cells(&mut out, &rules);
                    done += 1;
                }
            }
        }
        rule(&mut out, '=');
    }
    out
}

fn right(line: &Line) -> [Vec<String>; 3] {
    let mut range = vec![line.level_word.to_owned()];
    range.extend(line.range.iter().cloned());
    let action = line.action.split_whitespace().collect::<Vec<_>>().join(" ");
    [wrap_all(&range, WIDTHS[2]), wrap_all(&[action], WIDTHS[3]), wrap_all(&line.who, WIDTHS[4])]
}

fn rule(out: &mut String, stroke: char) {
    let strokes = WIDTHS.map(|width| stroke.to_string().repeat(width + 2));
    let _ = writeln!(out, "+{}+", strokes.join("+"));
}

fn cells(out: &mut String, columns: &[Vec<String>; 5]) {
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..height {
        let cells = columns.iter().zip(WIDTHS).map(|(column, width)| {
            let text = column.get(line).map_or("", String::as_str);
            format!(" {text:<width$} ")
        });
        let _ = writeln!(out, "|{}|", cells.collect::<Vec<_>>().join("|"));
    }
}

fn wrap_all(lines: &[String], width: usize) -> Vec<String> {
    lines.iter().flat_map(|line| wrap(line, width)).collect()
}

/// Breaks between words, not inside `{{ value }}`; a word that is longer than a line is cut.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let length = |text: &str| text.chars().count();
    let mut inside = false;
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if inside || length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
        inside = match word {
            "{{" => true,
            _ if word.contains("}}") => false,
            _ => inside,
        };
        // What was kept together and is too long moves to a line of its own, and is cut there if it must be.
        while let Some(line) = lines.last_mut().filter(|line| !inside && line.chars().count() > width) {
            let open = line.rfind("{{").filter(|at| *at > 0);
            let cut = open.unwrap_or_else(|| line.char_indices().nth(width).map_or(line.len(), |(at, _)| at));
            let rest = line.split_off(cut).trim_start().to_owned();
            line.truncate(line.trim_end().len());
            lines.push(rest);
        }
    }
    lines
}

pub(super) fn markdown(tables: &[Table]) -> String {
    let mut out = String::new();
    for table in tables {
        let _ = writeln!(out, "## {}\n", marked(&table.name));
        for (what, is) in &table.about {
            let _ = writeln!(out, "- {what}: {}", marked(is));
        }
        let _ = writeln!(out, "\n| {} |\n|---|---|---|---|---|", table.head.join(" | "));
        for Group { indicator, goal, lines } in &table.groups {
            for (index, line) in lines.iter().enumerate() {
                let (first, goal) = if index == 0 { (indicator.as_slice(), goal.as_str()) } else { (&[][..], "") };
                let mut name: Vec<String> = first.iter().map(|text| marked(text)).collect();
                if let Some(title) = name.first_mut() {
                    *title = format!("**{title}**");
                }
                let range: Vec<String> = line.range.iter().map(|text| marked(text)).collect();
                let who: Vec<String> = line.who.iter().map(|text| marked(text)).collect();
                let _ = writeln!(
                    out,
                    "| {} | {} | **{}** {} | {} | {} |",
                    name.join("<br>"),
                    marked(goal),
                    line.level_word,
                    range.join("<br>"),
                    marked(&line.action),
                    who.join("<br>"),
                );
            }
        }
        out.push('\n');
    }
    out
}

/// Text as Markdown shows it: in one line, without what would be markup.
fn marked(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        for c in word.chars() {
            if matches!(c, '|' | '*' | '_' | '`' | '\\' | '<' | '>' | '[' | ']' | '#') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:24px}table{border-collapse:collapse;margin:12px 0 32px}\
th,td{border:1px solid #8888;padding:6px 10px;vertical-align:top;text-align:left}small{opacity:.75;font-weight:normal}\
.ok{border-left:6px solid #1b7a3d}.info{border-left:6px solid #1f5fa8}.warning{border-left:6px solid #f0a818}\
.critical{border-left:6px solid #b3261e}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 12px}dd{margin:0}\
td:nth-last-child(2){max-width:34em}@media print{body{margin:0}}";

pub(super) fn html(tables: &[Table]) -> String {
    let language = tables.first().map_or("en", |table| words::page_language(table.language));
    let title = tables.iter().map(|table| escape(&table.name)).collect::<Vec<_>>().join(", ");
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    for table in tables {
        let _ = writeln!(
            out,
            "<section lang=\"{}\">\n<h1>{}</h1>\n<dl>",
            words::page_language(table.language),
            escape(&table.name)
        );
        for (what, is) in &table.about {
            let _ = writeln!(out, "<dt>{what}</dt><dd>{}</dd>", escape(is));
        }
        out.push_str("</dl>\n<table>\n<thead><tr>");
        for head in table.head {
            let _ = write!(out, "<th scope=\"col\">{head}</th>");
        }
        out.push_str("</tr></thead>\n");
        for group in &table.groups {
            html_group(&mut out, group);
        }
        out.push_str("</table>\n</section>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn html_group(out: &mut String, group: &Group) {
    out.push_str("<tbody>\n");
    for (index, line) in group.lines.iter().enumerate() {
        out.push_str("<tr>");
        if index == 0 {
            let mut lines = group.indicator.iter();
            let name = lines.next().map(|name| escape(name)).unwrap_or_default();
            let more: String = lines.map(|line| format!("<br><small>{}</small>", escape(line))).collect();
            let rows = group.lines.len();
            let goal = escape(&group.goal);
            let _ = write!(
                out,
                "<th scope=\"rowgroup\" rowspan=\"{rows}\">{name}{more}</th><td rowspan=\"{rows}\">{goal}</td>"
            );
        }
        let joined = |lines: &[String]| lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join("<br>");
        let _ = writeln!(
            out,
            "<td class=\"{}\"><strong>{}</strong><br>{}</td><td>{}</td><td>{}</td></tr>",
            line.level.name(),
            line.level_word,
            joined(&line.range),
            escape(&line.action),
            joined(&line.who),
        );
    }
    out.push_str("</tbody>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn words_are_kept_and_lines_are_no_longer_than_their_column() {
        for (text, expected) in [
            ("one two three", &["one two", "three"][..]),
            ("in {{ queue }}: go", &["in", "{{ queue", "}}: go"]),
            ("in {{ q }}: go", &["in", "{{ q }}:", "go"]),
            ("abcdefghijkl m", &["abcdefgh", "ijkl m"]),
            ("", &[]),
        ] {
            assert_eq!(wrap(text, 8), expected, "{text}");
        }
    }
}
