//! What commands print: data on standard output, everything else on standard error.
//!
//! Whoever reads may have seen enough and gone away (`| head -1`). That is no failure: what is left is dropped, and the command
//! ends with the exit code that it would have had. Nothing else in the library prints.

use std::fmt::{Arguments, Display};
use std::io::{self, ErrorKind, Write};

use super::Failure;

/// To standard output, with a line break behind it.
pub fn line(text: impl Display) -> Result<(), Failure> {
    print(format_args!("{text}\n"))
}

/// The same. False once the reader has gone away, for whoever would go on for ever.
pub fn line_heard(text: impl Display) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_fmt(format_args!("{text}\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        result => written(result).map(|()| true),
    }
}

/// To standard output, as it stands.
pub fn text(text: impl Display) -> Result<(), Failure> {
    print(format_args!("{text}"))
}

fn print(what: Arguments<'_>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(out.write_fmt(what).and_then(|()| out.flush()))
}

/// What came of writing data.
pub fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Run(format!("cannot write the output: {error}.")))
        }
        _ => Ok(()),
    }
}

/// To standard error, with a line break behind it. Where that fails there is nobody left to tell.
pub fn aside(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
