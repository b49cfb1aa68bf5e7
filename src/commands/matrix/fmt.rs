//! `atalaya matrix fmt`: files in their canonical layout, or what differs from it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::commands::{Failure, files};
use crate::config::layout::layout;

/// Lay matrices and their tests out in the canonical way; comments and the order of keys stay. A file is read again and
/// compared before it is written; what cannot be laid out safely is left as it is, and said
#[derive(Debug, clap::Args)]
pub struct Fmt {
    /// Files, or folders whose *.yaml and *.yml files are taken, tests too
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Write nothing; exit code 1 if a file is not in its canonical layout
    #[arg(long)]
    pub check: bool,
}

/// What became of the files: lines for the person, and how it ends.
pub fn fmt(args: &Fmt) -> (Vec<String>, Result<String, Failure>) {
    let (paths, mut wrong) = files::yaml_files(&args.paths);
    let (mut said, mut changed, mut left) = (Vec::new(), 0, 0);
    for path in &paths {
        let shown = path.display();
        match one(path, args.check) {
            Ok(Done::Same) => {}
            Ok(Done::Changed(line)) => {
                changed += 1;
                said.push(match args.check {
                    true => format!("{shown}:{line}: not in its canonical layout"),
                    false => format!("{shown}: laid out"),
                });
            }
            Ok(Done::Left(line, why)) => {
                left += 1;
                said.push(format!("{shown}:{line}: left as it is: {why}"));
            }
            Err(why) => wrong.push(why),
        }
    }
    let fine = paths.len().saturating_sub(changed + left + wrong.len());
    let result = if !wrong.is_empty() {
        Err(Failure::User(wrong.join("\n")))
    } else if args.check && changed > 0 {
        Err(Failure::Run(format!(
            "{changed} of {} files are not in their canonical layout: `atalaya matrix fmt` writes it",
            paths.len()
        )))
    } else {
        Ok(format!("{changed} laid out, {fine} as they should be, {left} left as they are"))
    };
    (said, result)
}

enum Done {
    Same,
    /// The first line that differs.
    Changed(usize),
    Left(usize, &'static str),
}

fn one(path: &Path, check: bool) -> Result<Done, String> {
    let text = files::read(path)?;
    let laid_out = match layout(&text) {
        Ok(laid_out) => laid_out,
        Err(refusal) => return Ok(Done::Left(refusal.line, refusal.why)),
    };
    if laid_out == text {
        return Ok(Done::Same);
    }
    if !check {
        fs::write(path, &laid_out).map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
    }
    let same = text.lines().zip(laid_out.lines()).take_while(|(a, b)| a == b).count();
    Ok(Done::Changed(same + 1))
}
