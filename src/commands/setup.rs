//! SEAM until config lands.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Failure;
use crate::matrix::Matrix;
use crate::plan::Plan;

pub struct TmpConfig {
    pub agent_states: std::collections::BTreeMap<String, crate::domain::AgentClass>,
}
pub struct Setup {
    pub config: TmpConfig,
    pub plan: Arc<Plan>,
    pub matrices: Vec<Arc<Matrix>>,
}

pub fn load(_config: Option<&Path>, _matrices: Option<&[PathBuf]>) -> Result<Setup, Failure> {
    let zone = std::env::var("TZTMP").ok().and_then(|z| jiff::tz::TimeZone::get(&z).ok()).unwrap_or(jiff::tz::TimeZone::UTC);
    Ok(Setup { config: TmpConfig { agent_states: Default::default() }, plan: Arc::new(Plan { zone, ..Plan::default() }), matrices: vec![] })
}
