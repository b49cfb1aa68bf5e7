//! Configuration and matrices as the commands that evaluate need them.

use std::path::{Path, PathBuf};

use super::files::{self, Origin, Secrets};
use super::{Failure, say};
use crate::config::{Config, MatrixSet};

pub struct Setup {
    pub origin: Origin,
    pub config: Config,
    pub set: MatrixSet,
}

/// Reads the configuration, and the matrices in `matrices`, or those that the configuration names where that is `None`.
/// Warnings are said on standard error. Without a configuration nothing is sent, so that webhooks may have any name.
pub fn load(config: Option<&Path>, matrices: Option<&[PathBuf]>, secrets: Secrets) -> Result<Setup, Failure> {
    let path = config;
    let origin = Origin::read(path)?;
    let config = origin.compile(secrets)?;
    let paths = matrices.map_or_else(|| files::matrix_paths(path, &config), <[PathBuf]>::to_vec);
    let set = files::load_matrices(&paths, &config, path.is_some())?;
    // What the built-in defaults leave open is nobody's fault.
    let own = path.map(|_| &config.warnings).into_iter().flatten();
    for warning in own.chain(&set.warnings) {
        say::aside(warning);
    }
    Ok(Setup { origin, config, set })
}
